"""The TLS string of Cisco's Network Protocol Fingerprinting, format "tls/1".

(record version)(cipher suites)[sorted extensions], in hex. Of most extensions only the type is told, of those in
FIXED the whole; GREASE values become 0a0a. Definition: doc/npf.md of github.com/cisco/mercury. Two readings of
ours: the values inside the extensions of LISTS are freed from GREASE too, as the definition's own example shows
for two of them, and the hash form is the first 128 bits of SHA-256.
"""

from __future__ import annotations

import hashlib
import struct

from btresearch.flow import ClientHello, is_grease

GREASE = 0x0A0A
FIXED = frozenset({1, 5, 7, 8, 9, 10, 11, 13, 15, 16, 17, 24, 27, 28, 43, 45, 50, 0x5500})  # TLS_EXT_FIXED
LISTS = {10: 2, 13: 2, 43: 1}  # extensions whose 16-bit values may be GREASE: bytes before the list
HASH_DIGITS = 32


def npf(record_version: int, hello: ClientHello) -> str:
    """The string, such as tls/1/(0301)(13021303)[(0000)(000a00040002001d)]."""
    ciphers = "".join(f"{degreased(cipher):04x}" for cipher in hello.ciphers)
    extensions = sorted(f"({_extension(kind, body)})" for kind, body in hello.extensions)
    return f"tls/1/({record_version & 0xFFFF:04x})({ciphers})[{''.join(extensions)}]"


def npf_hash(text: str) -> str:
    """The short form of such a string: 32 hex digits of the SHA-256 of what follows the format's name."""
    return hashlib.sha256(text.removeprefix("tls/1/").encode()).hexdigest()[:HASH_DIGITS]


def degreased(value: int) -> int:
    """The value, or 0x0a0a for each of the sixteen that RFC 8701 reserves."""
    return GREASE if is_grease(value) else value


def _extension(kind: int, body: bytes) -> str:
    kind = degreased(kind)
    if kind not in FIXED:
        return f"{kind:04x}"
    return f"{kind:04x}{len(body):04x}{_values(body, LISTS[kind]) if kind in LISTS else body.hex()}"


def _values(body: bytes, prefix: int) -> str:
    count = (len(body) - prefix) // 2
    if count < 0 or prefix + 2 * count != len(body):
        return body.hex()
    values = struct.unpack_from(f">{count}H", body, prefix)
    return body[:prefix].hex() + "".join(f"{degreased(value):04x}" for value in values)
