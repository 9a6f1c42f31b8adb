"""The info dictionary's `tls`: the level of a torrent, and what its members need to know (see docs/protocol.md).

Bencoded canonically, since a magnet link's copy of it (`x.tls`) is compared byte for byte.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, cast
from urllib.parse import urlsplit

from btresearch.errors import InputError, printable
from btresearch.peer import bencode
from btresearch.peer.bencode import Encodable, Value

VERSION = 1
MAX_TLS_BYTES = 8192
"""Of the bencoded dictionary."""
MAX_TLS_DEPTH = 16
"""Lists and dictionaries in one another, itself included: the same in a file, in metadata and in a link."""
HASH_BYTES = 32
SALT_BYTES = 16
MAX_AUTHORITIES = 16
MAX_TRACKERS = 16
MAX_ORIGIN_CHARS = 300
SCRYPT_N, SCRYPT_R, SCRYPT_P = 1 << 17, 8, 1
"""RFC 7914; the only parameters, for what a stranger's dictionary may cost is fixed: 128 MiB and half a second."""
SECRET_BYTES = 32
COMMIT_LABEL = b"bittorrent-tls commit"

TorrentLevel = Literal["strict", "full"]
_LEVELS: Mapping[bytes, TorrentLevel] = {b"strict": "strict", b"full": "full"}
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"(?:{_LABEL}\.)*(?!\d+$){_LABEL}")
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Kdf:
    """The secret comes from a passphrase, through scrypt with this salt."""

    salt: bytes

    def fields(self) -> dict[bytes, Encodable]:
        """The `kdf` dictionary."""
        numbers: dict[bytes, Encodable] = {b"n": SCRYPT_N, b"r": SCRYPT_R, b"p": SCRYPT_P}
        return numbers | {b"name": b"scrypt", b"salt": self.salt}


@dataclass(frozen=True)
class TlsInfo:
    """A torrent above level Basic.

    `commit` is the hash of its secret. At Full, `ca` holds the SHA-256 of each accepted authority's SPKI and
    `est` the origin to enrol at. `trackers` are HTTPS origins that may be told the infohash; all others get
    the discovery id. `raw` is the dictionary as it stands, with the keys that this version doesn't know.
    """

    level: TorrentLevel
    commit: bytes
    kdf: Kdf | None = None
    ca: tuple[bytes, ...] = ()
    est: str | None = None
    trackers: tuple[str, ...] = ()
    raw: bytes = field(default=b"", repr=False)

    @classmethod
    def create(
        cls,
        level: TorrentLevel,
        commit: bytes,
        *,
        kdf: Kdf | None = None,
        ca: tuple[bytes, ...] = (),
        est: str | None = None,
        trackers: tuple[str, ...] = (),
    ) -> TlsInfo:
        """For a new torrent. Raises InputError for what `parse` would refuse."""
        data = cls(level, commit, kdf, ca, est, trackers).encode()
        return cls.parse(bencode.decode(data), data, "tls")

    @classmethod
    def parse(cls, value: Value, raw: bytes, source: str) -> TlsInfo:
        """Judge a decoded dictionary and the bytes that it was decoded from.

        Unknown keys are kept. Raises InputError for anything else: a torrent whose level is not understood
        must not be spoken at a lower one.
        """
        return _Reader(value, raw, source).read()

    @classmethod
    def decode(cls, raw: bytes, source: str) -> TlsInfo:
        """From its bencoding. Raises InputError."""
        return cls.parse(bencode.decode(raw[: MAX_TLS_BYTES + 1], source=source), raw, source)

    def encode(self) -> bytes:
        """The bencoded dictionary: as it came, or made from the fields."""
        return self.raw or bencode.encode(self._fields())

    def _fields(self) -> dict[bytes, Encodable]:
        fields: dict[bytes, Encodable] = {b"v": VERSION, b"level": self.level, b"commit": self.commit}
        if self.kdf is not None:
            fields[b"kdf"] = self.kdf.fields()
        if self.ca:
            fields[b"ca"] = self.ca
        if self.est is not None:
            fields[b"est"] = self.est
        if self.trackers:
            fields[b"trackers"] = self.trackers
        return fields

    def may_name_torrent(self, url: str) -> bool:
        """Whether the tracker at `url` may be told the infohash."""
        return origin_of(url) in self.trackers


def commit_of(secret: bytes) -> bytes:
    """SHA-256("bittorrent-tls commit" || secret): what `info.tls` says of the secret."""
    return hashlib.sha256(COMMIT_LABEL + secret).digest()


def encode_link(tls: TlsInfo, secret: bytes | None = None) -> str:
    """A magnet link's `x.tls`: base64url without padding (RFC 4648 section 5)."""
    data = tls.encode()
    if secret is not None and tls.kdf is None:
        fields = cast("dict[bytes, Encodable]", bencode.decode(data))
        data = bencode.encode(fields | {b"secret": secret})
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode_link(text: str, source: str = "magnet link: x.tls") -> tuple[TlsInfo, bytes | None]:
    """The dictionary that the metadata must repeat, and the secret if the link holds it. Raises InputError."""
    fields = bencode.decode(_from_base64url(text, source), source=source)
    if not isinstance(fields, dict):
        raise InputError(source, "a dictionary")
    secret = fields.pop(b"secret", None)
    if secret is not None and (not isinstance(secret, bytes) or len(secret) != SECRET_BYTES):
        raise InputError(source, f"a secret of {SECRET_BYTES} bytes")
    tls = TlsInfo.decode(bencode.encode(cast("Encodable", fields)), source)
    if tls.kdf is not None and secret is not None:
        raise InputError(source, "a secret or a passphrase, not both")
    if encode_link(tls, secret) != text:
        raise InputError(source, "canonical bencoding and base64url")
    if secret is not None and not hmac.compare_digest(commit_of(secret), tls.commit):
        raise InputError(source, "the secret that the torrent was made with")
    return tls, secret


def _from_base64url(text: str, source: str) -> bytes:
    if len(text) > 2 * MAX_TLS_BYTES or not _BASE64URL.fullmatch(text):
        raise InputError(source, f"at most {2 * MAX_TLS_BYTES} characters of base64url without padding")
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as error:
        raise InputError(source, "base64url") from error


def origin_of(url: str) -> str | None:
    """The HTTPS origin (RFC 6454) of a URL, in lower case and without a default port; None if it has none."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    host = _host_of(parts.hostname or "")
    if parts.scheme != "https" or parts.username is not None or not host or port == 0:
        return None
    return f"https://{host}" if port in (None, 443) else f"https://{host}:{port}"


def _host_of(host: str) -> str:
    """A name, IPv4, or IPv6 as RFC 5952 writes it (in brackets); "" for anything else."""
    if _NAME.fullmatch(host):
        return host
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv4Address):
        return host
    return "" if address.ipv4_mapped or address.scope_id else f"[{address}]"


def _depth(value: Value) -> int:
    if not isinstance(value, list | dict):
        return 0
    return 1 + max(map(_depth, value.values() if isinstance(value, dict) else value), default=0)


class _Reader:
    def __init__(self, value: Value, raw: bytes, source: str) -> None:
        self._raw, self._source = raw, source
        if len(raw) > MAX_TLS_BYTES:
            raise self._error(f"at most {MAX_TLS_BYTES} bytes")
        if not isinstance(value, dict):
            raise self._error("a dictionary")
        if bencode.encode(cast("Encodable", value)) != raw:
            raise self._error("keys in order: its bytes are compared")
        if _depth(value) > MAX_TLS_DEPTH:
            raise self._error(f"at most {MAX_TLS_DEPTH} levels of nesting")
        self._fields = value

    def read(self) -> TlsInfo:
        if self._fields.get(b"v") != VERSION:
            raise self._error(f"v = {VERSION}; this torrent needs a newer version", b"v")
        if b"secret" in self._fields:
            raise self._error("no secret: metadata is public", b"secret")
        level = self._level()
        return TlsInfo(
            level=level,
            commit=self._bytes(self._fields.get(b"commit"), HASH_BYTES, b"commit"),
            kdf=self._kdf(),
            ca=self._ca(level),
            est=self._est(level),
            trackers=self._trackers(),
            raw=self._raw,
        )

    def _level(self) -> TorrentLevel:
        value = self._fields.get(b"level")
        level = _LEVELS.get(value) if isinstance(value, bytes) else None
        if level is None:
            raise self._error("strict or full", b"level")
        return level

    def _kdf(self) -> Kdf | None:
        kdf = self._fields.get(b"kdf")
        if kdf is None:
            return None
        if not isinstance(kdf, dict):
            raise self._error("a dictionary", b"kdf")
        salt = self._bytes(kdf.get(b"salt"), SALT_BYTES, b"kdf")
        if kdf != Kdf(salt).fields():
            raise self._error(f"scrypt with n = {SCRYPT_N}, r = {SCRYPT_R}, p = {SCRYPT_P}", b"kdf")
        return Kdf(salt)

    def _ca(self, level: TorrentLevel) -> tuple[bytes, ...]:
        if level != "full" and b"ca" not in self._fields:
            return ()
        hashes = self._fields.get(b"ca")
        if level != "full" or not isinstance(hashes, list) or not 0 < len(hashes) <= MAX_AUTHORITIES:
            raise self._error(f"1 to {MAX_AUTHORITIES} hashes at level full, none at strict", b"ca")
        return tuple(self._bytes(one, HASH_BYTES, b"ca") for one in hashes)

    def _est(self, level: TorrentLevel) -> str | None:
        if (level == "full") != (b"est" in self._fields):
            raise self._error("an origin at level full, none at strict", b"est")
        return self._origin(self._fields[b"est"], b"est") if level == "full" else None

    def _trackers(self) -> tuple[str, ...]:
        origins = self._fields.get(b"trackers", [])
        if not isinstance(origins, list) or len(origins) > MAX_TRACKERS:
            raise self._error(f"at most {MAX_TRACKERS} origins", b"trackers")
        return tuple(self._origin(one, b"trackers") for one in origins)

    def _origin(self, value: Value, key: bytes) -> str:
        text = value.decode("ascii", "replace") if isinstance(value, bytes) else ""
        if len(text) > MAX_ORIGIN_CHARS or origin_of(text) != text:
            raise self._error(f"https://host or https://host:port, not {printable(text, 80)!r}", key)
        return text

    def _bytes(self, value: Value | None, length: int, key: bytes) -> bytes:
        if not isinstance(value, bytes) or len(value) != length:
            raise self._error(f"{length} bytes", key)
        return value

    def _error(self, expected: str, key: bytes = b"") -> InputError:
        where = f"tls.{key.decode()}" if key else "tls"
        return InputError(self._source, f"{where}: {expected}")
