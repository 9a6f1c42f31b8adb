"""Magnet links, BEP 9: infohashes and where to begin asking."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs, quote

from btresearch.errors import InputError

MAX_URI_CHARS = 64 * 1024
MAX_PARAMETERS = 1000
MAX_LENGTH_BYTES = 1 << 50
_BTIH, _BTMH = "urn:btih:", "urn:btmh:"
_SHA256_MULTIHASH = "1220"
"""Multihash: code of SHA-256 and its length of 32 bytes."""
_V1_BYTES, _V2_BYTES = 20, 32


@dataclass(frozen=True)
class Magnet:
    """xt as `infohash` and `infohash_v2`, dn, tr, x.pe as (host, port), xl in bytes, x.tls as it came.

    `infohash` is the 20 bytes of xt=urn:btih:, or, without it, the first 20 of urn:btmh: (BEP 52).
    """

    infohash: bytes
    name: str | None = None
    trackers: tuple[str, ...] = ()
    peers: tuple[tuple[str, int], ...] = ()
    length_bytes: int | None = None
    tls: str | None = field(default=None, repr=False)  # may hold the secret
    infohash_v2: bytes | None = None

    @property
    def infohashes(self) -> tuple[bytes, ...]:
        """The full infohashes, as keys are made of them: 20 bytes for v1, 32 for v2, both for a hybrid."""
        v2_only = self.infohash_v2 is not None and self.infohash == self.infohash_v2[:_V1_BYTES]
        v1 = () if v2_only else (self.infohash,)
        return v1 if self.infohash_v2 is None else (*v1, self.infohash_v2)

    @classmethod
    def parse(cls, uri: str) -> Magnet:
        """Read a link; parameters that are unknown or malformed beside xt are left out, but for x.tls.

        Raises InputError.
        """
        if len(uri) > MAX_URI_CHARS:
            raise InputError("magnet link", f"at most {MAX_URI_CHARS} characters, not {len(uri)}")
        if not uri.lower().startswith("magnet:?"):
            raise InputError("magnet link", "magnet:? at the start", offset=0)
        # A command line's raw bytes come as surrogates, which nothing could write again.
        uri = uri.encode(errors="replace").decode()
        try:
            fields = parse_qs(uri[len("magnet:?") :], keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
        except ValueError as error:
            raise InputError("magnet link", f"at most {MAX_PARAMETERS} parameters") from error
        infohash, infohash_v2 = _infohashes(fields)
        return cls(
            infohash=infohash,
            infohash_v2=infohash_v2,
            name=_first(fields, "dn"),
            trackers=tuple(_values(fields, "tr")),
            peers=tuple(peer for text in _values(fields, "x.pe") if (peer := _peer(text))),
            length_bytes=_length(_first(fields, "xl")),
            tls=_tls(fields),
        )

    def format(self) -> str:
        """The link, xt in hexadecimal."""
        return "magnet:?" + "&".join(f"{key}={quote(text, safe=':[]')}" for key, text in self._parameters())

    def _parameters(self) -> Iterator[tuple[str, str]]:
        for infohash in self.infohashes:
            v2 = infohash == self.infohash_v2
            yield "xt", (_BTMH + _SHA256_MULTIHASH if v2 else _BTIH) + infohash.hex()
        if self.name is not None:
            yield "dn", self.name
        if self.length_bytes is not None:
            yield "xl", str(self.length_bytes)
        yield from (("tr", tracker) for tracker in self.trackers)
        for host, port in self.peers:
            yield "x.pe", f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        if self.tls is not None:
            yield "x.tls", self.tls


def _infohashes(fields: Mapping[str, list[str]]) -> tuple[bytes, bytes | None]:
    v1, v2 = _topic(fields, _BTIH), _topic(fields, _BTMH)
    infohash_v2 = None if v2 is None else _v2_infohash(v2)
    if v1 is not None:
        return _v1_infohash(v1), infohash_v2
    if infohash_v2 is None:
        raise InputError("magnet link", f"xt={_BTIH} or xt={_BTMH} with the infohash of a torrent")
    return infohash_v2[:_V1_BYTES], infohash_v2


def _topic(fields: Mapping[str, list[str]], scheme: str) -> str | None:
    topics = (topic for topic in _values(fields, "xt") if topic.lower().startswith(scheme))
    return next((topic[len(scheme) :] for topic in topics), None)


def _v1_infohash(text: str) -> bytes:
    try:
        # BEP 9: 40 hexadecimal digits, or the 32 characters of base32 that old links carry
        infohash = bytes.fromhex(text) if len(text) == 40 else base64.b32decode(text.upper())
    except (ValueError, binascii.Error):
        infohash = b""
    if len(infohash) != _V1_BYTES:
        raise InputError("magnet link", f"40 hexadecimal digits or 32 of base32 in xt, not {text[:64]!r}")
    return infohash


def _v2_infohash(text: str) -> bytes:
    try:
        infohash = bytes.fromhex(text.removeprefix(_SHA256_MULTIHASH))
    except ValueError:
        infohash = b""
    if len(text) != 68 or not text.startswith(_SHA256_MULTIHASH) or len(infohash) != _V2_BYTES:
        raise InputError(
            "magnet link", f"{_SHA256_MULTIHASH} and 64 hexadecimal digits in xt={_BTMH}, not {text[:72]!r}"
        )
    return infohash


def _values(fields: Mapping[str, list[str]], key: str) -> Iterator[str]:
    """Values of `key` and of its numbered forms (tr.1, tr.2), which BEP 9's examples allow."""
    for name, values in fields.items():
        stem, _, number = name.rpartition(".")
        if name == key or (stem == key and number.isdigit()):
            yield from filter(None, values)


def _first(fields: Mapping[str, list[str]], key: str) -> str | None:
    return next(_values(fields, key), None)


def _tls(fields: Mapping[str, list[str]]) -> str | None:
    """As it came, also empty: a link with an x.tls that says nothing must not pass for one without."""
    values = fields.get("x.tls", [])
    if len(values) > 1:
        raise InputError("magnet link", "x.tls once")
    return values[0] if values else None


def _length(text: str | None) -> int | None:
    if text is None or not text.isascii() or not text.isdigit() or len(text) > 16:
        return None
    return int(text) if int(text) <= MAX_LENGTH_BYTES else None


def _peer(text: str) -> tuple[str, int] | None:
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isascii() or not port.isdigit() or len(port) > 5 or not 0 < int(port) < 65536:
        return None
    return host, int(port)
