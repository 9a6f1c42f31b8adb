"""JA4 of a TLS client over TCP, in its hashed and raw forms.

Definition: FoxIO, technical_details/JA4.md of https://github.com/FoxIO-LLC/ja4 (JA4 is BSD-3-Clause; the
other members of JA4+ are not, and are not here). GREASE values are ignored wherever they stand.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from btresearch.flow.hello import ALPN, SERVER_NAME, ClientHello, is_grease

_VERSIONS = {
    0x0304: "13", 0x0303: "12", 0x0302: "11", 0x0301: "10", 0x0300: "s3", 0x0002: "s2",
    0xFEFF: "d1", 0xFEFD: "d2", 0xFEFC: "d3",
}  # fmt: skip
_NOTHING = "000000000000"
_ALPHANUMERIC = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")


def ja4(hello: ClientHello) -> str:
    """The JA4 fingerprint, such as t13d1516h2_8daaf6152771_e5627efa2ab1."""
    ciphers, extensions = _ciphers(hello), _extensions(hello)
    return f"{_first_part(hello)}_{_hash(ciphers, ciphers)}_{_hash(extensions, _with_algorithms(hello))}"


def ja4_r(hello: ClientHello) -> str:
    """The raw form: the sorted lists in place of their hashes."""
    return f"{_first_part(hello)}_{_ciphers(hello)}_{_with_algorithms(hello)}"


def alpn_letters(first: bytes) -> str:
    """First and last character of an ALPN name, or of its hex form where either byte isn't alphanumeric."""
    if not first:
        return "00"
    if first[0] in _ALPHANUMERIC and first[-1] in _ALPHANUMERIC:
        return f"{first[0]:c}{first[-1]:c}"
    return first.hex()[0] + first.hex()[-1]


def _first_part(hello: ClientHello) -> str:
    known = [version for version in hello.supported_versions if not is_grease(version)]
    version = _VERSIONS.get(max(known) if known else hello.version, "00")
    kinds = [kind for kind, _ in hello.extensions if not is_grease(kind)]
    ciphers = sum(not is_grease(cipher) for cipher in hello.ciphers)
    domain = "d" if SERVER_NAME in kinds else "i"
    letters = alpn_letters(hello.alpn[0] if hello.alpn else b"")
    return f"t{version}{domain}{min(ciphers, 99):02d}{min(len(kinds), 99):02d}{letters}"


def _ciphers(hello: ClientHello) -> str:
    return _join(sorted(hello.ciphers))


def _extensions(hello: ClientHello) -> str:
    return _join(sorted(kind for kind, _ in hello.extensions if kind not in (SERVER_NAME, ALPN)))


def _with_algorithms(hello: ClientHello) -> str:
    algorithms = _join(hello.signature_algorithms)
    return f"{_extensions(hello)}_{algorithms}" if algorithms else _extensions(hello)


def _join(values: Iterable[int]) -> str:
    return ",".join(f"{value:04x}" for value in values if not is_grease(value))


def _hash(decides: str, text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12] if decides else _NOTHING
