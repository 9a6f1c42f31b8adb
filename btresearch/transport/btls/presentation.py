"""TLS presentation language (RFC 8446 section 3): numbers, length-prefixed vectors, handshake messages."""

from __future__ import annotations

from btresearch.transport.errors import RemoteProtocolError
from btresearch.transport.protocol import Bytes


def vector(content: bytes, length_bytes: int) -> bytes:
    """Prefix `content` with its length, big endian in `length_bytes` bytes."""
    return len(content).to_bytes(length_bytes, "big") + content


def handshake(kind: int, body: bytes) -> bytes:
    """Encode a handshake message: type(1) || length(3) || body (RFC 8446 section 4)."""
    return bytes([kind]) + vector(body, 3)


class Reader:
    """Reads a message front to back; every overrun and every byte too many is a RemoteProtocolError."""

    def __init__(self, data: Bytes, name: str) -> None:
        self._data, self._name, self._at = bytes(data), name, 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes."""
        end = self._at + count
        if end > len(self._data):
            raise self.wrong(f"ends {end - len(self._data)} bytes early")
        taken, self._at = self._data[self._at : end], end
        return taken

    def number(self, count: int) -> int:
        """Return the next `count` bytes as an unsigned number."""
        return int.from_bytes(self.take(count), "big")

    def vector(self, length_bytes: int, *, least: int = 0) -> bytes:
        """Return a length-prefixed vector of at least `least` bytes."""
        content = self.take(self.number(length_bytes))
        if len(content) < least:
            raise self.wrong(f"has a vector of {len(content)} bytes, expected at least {least}")
        return content

    def message(self, kind: int) -> bytes:
        """Return a whole handshake message of type `kind`, header included."""
        found = self.take(1)[0]
        if found != kind:
            raise self.wrong(f"has a message of type {found}, expected {kind}")
        return handshake(kind, self.vector(3))

    def end(self) -> None:
        """Raise unless all was read."""
        if self:
            raise self.wrong(f"has {len(self._data) - self._at} bytes too many")

    def wrong(self, why: str) -> RemoteProtocolError:
        """Build the error that says what is wrong with this message."""
        return RemoteProtocolError(f"btls: {self._name} {why}")
