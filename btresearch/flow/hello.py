"""ClientHello and ServerHello messages (RFC 8446 section 4.1), as far as fingerprints and rules read them."""

from __future__ import annotations

from dataclasses import dataclass

from btresearch.errors import BtresearchError

SERVER_NAME, SUPPORTED_GROUPS, POINT_FORMATS, SIGNATURE_ALGORITHMS = 0, 10, 11, 13
ALPN, SUPPORTED_VERSIONS, KEY_SHARE = 16, 43, 51
_HOST_NAME = 0  # RFC 6066 section 3


class HelloError(BtresearchError):
    """A hello that does not parse: the message says where and why."""


@dataclass(frozen=True)
class ClientHello:
    """A ClientHello; lists are in wire order with GREASE values included, extensions as (type, body)."""

    version: int
    random: bytes
    session_id: bytes
    ciphers: tuple[int, ...]
    compressions: tuple[int, ...]
    extensions: tuple[tuple[int, bytes], ...]
    server_name: bytes | None
    alpn: tuple[bytes, ...]
    groups: tuple[int, ...]
    point_formats: tuple[int, ...]
    signature_algorithms: tuple[int, ...]
    supported_versions: tuple[int, ...]
    key_share_groups: tuple[int, ...]


@dataclass(frozen=True)
class ServerHello:
    """A ServerHello or HelloRetryRequest; `selected_version` is what the connection uses."""

    version: int
    random: bytes
    session_id: bytes
    cipher: int
    extensions: tuple[tuple[int, bytes], ...]
    selected_version: int
    alpn: bytes


def is_grease(value: int) -> bool:
    """Whether a 16-bit code point is one of the sixteen that RFC 8701 reserves."""
    return value & 0x0F0F == 0x0A0A and value >> 8 == value & 0xFF


class _Cursor:
    """Reads big-endian fields from front to back; what lacks raises HelloError."""

    def __init__(self, data: bytes, what: str) -> None:
        self._data, self._at, self._what = data, 0, what

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def take(self, size: int) -> bytes:
        field = self._data[self._at : self._at + size]
        if len(field) < size:
            raise HelloError(f"{self._what}: {size} bytes expected at byte {self._at}, {len(field)} there")
        self._at += size
        return field

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, length_bytes: int) -> bytes:
        """A vector in RFC 8446 notation: its length in bytes, then its body."""
        return self.take(self.number(length_bytes))

    def numbers(self, length_bytes: int, size: int) -> tuple[int, ...]:
        items = _Cursor(self.vector(length_bytes), self._what)
        found = []
        while items:
            found.append(items.number(size))
        return tuple(found)


def parse_client_hello(message: bytes) -> ClientHello:
    """Parse a handshake message of type 1, its 4-byte header included. Raises HelloError."""
    body = _body(message, 1, "ClientHello")
    version, random, session_id = body.number(2), body.take(32), body.vector(1)
    ciphers, compressions = body.numbers(2, 2), body.numbers(1, 1)
    extensions = _extensions(body)
    first = _first_of_each(extensions)
    return ClientHello(
        version, random, session_id, ciphers, compressions, extensions,
        server_name=_server_name(first),
        alpn=_alpn(first),
        groups=_list(first, SUPPORTED_GROUPS, 2, 2),
        point_formats=_list(first, POINT_FORMATS, 1, 1),
        signature_algorithms=_list(first, SIGNATURE_ALGORITHMS, 2, 2),
        supported_versions=_list(first, SUPPORTED_VERSIONS, 1, 2),
        key_share_groups=_key_share_groups(first),
    )  # fmt: skip


def parse_server_hello(message: bytes) -> ServerHello:
    """Parse a handshake message of type 2, its 4-byte header included. Raises HelloError."""
    body = _body(message, 2, "ServerHello")
    version, random = body.number(2), body.take(32)
    draft = version >> 8 == 0x7F  # TLS 1.3 drafts up to 21 had neither session id nor compression here
    session_id = b"" if draft else body.vector(1)
    cipher, _ = body.number(2), 0 if draft else body.number(1)
    extensions = _extensions(body)
    first = _first_of_each(extensions)
    chosen = first.get(SUPPORTED_VERSIONS)
    selected = version if chosen is None else _Cursor(chosen, "supported_versions").number(2)
    alpn = _alpn(first)
    return ServerHello(version, random, session_id, cipher, extensions, selected, alpn[0] if alpn else b"")


def _body(message: bytes, kind: int, name: str) -> _Cursor:
    header = _Cursor(message, name)
    if header.number(1) != kind:
        raise HelloError(f"{name}: handshake type {kind} expected, {message[0]} there")
    return _Cursor(header.vector(3), name)


def _extensions(body: _Cursor) -> tuple[tuple[int, bytes], ...]:
    if not body:  # allowed before TLS 1.3, RFC 5246 section 7.4.1.2
        return ()
    block = _Cursor(body.vector(2), "extensions")
    found = []
    while block:
        found.append((block.number(2), block.vector(2)))
    return tuple(found)


def _first_of_each(extensions: tuple[tuple[int, bytes], ...]) -> dict[int, bytes]:
    return dict(reversed(extensions))


def _list(first: dict[int, bytes], kind: int, length_bytes: int, size: int) -> tuple[int, ...]:
    body = first.get(kind)
    return () if body is None else _Cursor(body, f"extension {kind}").numbers(length_bytes, size)


def _server_name(first: dict[int, bytes]) -> bytes | None:
    body = first.get(SERVER_NAME)
    if body is None:
        return None
    names = _Cursor(_Cursor(body, "server_name").vector(2), "server_name") if body else _Cursor(b"", "")
    while names:
        kind, name = names.number(1), names.vector(2)
        if kind == _HOST_NAME:
            return name
    return b""


def _alpn(first: dict[int, bytes]) -> tuple[bytes, ...]:
    body = first.get(ALPN)
    if not body:
        return ()
    names = _Cursor(_Cursor(body, "ALPN").vector(2), "ALPN")
    found = []
    while names:
        found.append(names.vector(1))
    return tuple(found)


def _key_share_groups(first: dict[int, bytes]) -> tuple[int, ...]:
    body = first.get(KEY_SHARE)
    if body is None:
        return ()
    shares = _Cursor(_Cursor(body, "key_share").vector(2), "key_share")
    found = []
    while shares:
        found.append(shares.number(2))
        shares.vector(2)
    return tuple(found)
