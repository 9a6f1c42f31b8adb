"""TLS records over a byte stream, incrementally and without keeping payloads (RFC 8446 section 5.1).

There is no resynchronisation: the first bytes that are no record header end the parsing for good.
"""

from __future__ import annotations

from typing import NamedTuple

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA, HEARTBEAT = 20, 21, 22, 23, 24
CONTENT_TYPES = frozenset((CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA, HEARTBEAT))
HEADER_BYTES = 5
MAX_RECORD_BYTES = (1 << 14) + 2048  # RFC 5246 section 6.2.3; TLS 1.3 allows 256 above 2^14
MAX_MINOR = 4  # legacy_record_version is 03 00 (SSL 3.0) to 03 04
CLIENT_HELLO, SERVER_HELLO = 1, 2
MAX_HELLO_BYTES = 1 << 16  # kept of one handshake message; real hellos stay below 4 KiB


class Record(NamedTuple):
    """One whole record: its content type, the length in its header (bytes), when it was complete."""

    type: int
    length: int
    t_ns: int


class Hello:
    """Collects the first handshake message of one direction, if that is a ClientHello or ServerHello."""

    __slots__ = ("_buffer", "closed", "message")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.message = b""
        self.closed = False

    def feed(self, fragment: bytes) -> None:
        """Take the next bytes of the direction's handshake records."""
        buffer = self._buffer
        buffer += fragment
        if buffer and buffer[0] not in (CLIENT_HELLO, SERVER_HELLO):
            self.close()
        elif len(buffer) >= 4:
            size = 4 + int.from_bytes(buffer[1:4], "big")
            if size > MAX_HELLO_BYTES:
                self.close()
            elif len(buffer) >= size:
                self.message = bytes(buffer[:size])
                self.close()

    def close(self) -> None:
        """Collect no more, and drop what was collected."""
        self.closed = True
        self._buffer = bytearray()


class RecordParser:
    """The record layer of one direction: feed stream bytes, get the records that they complete."""

    __slots__ = ("_dead", "_header", "_left", "_length", "_type", "hello", "version")

    def __init__(self) -> None:
        self._header = b""
        self._left = -1  # body bytes that the open record still needs; -1 between records
        self._length = self._type = 0
        self._dead = ""
        self.version = -1  # of the first record's header
        self.hello = Hello()

    def feed(self, data: bytes, t_ns: int) -> list[Record]:
        """Take the next bytes of the stream."""
        records: list[Record] = []
        at, size = 0, len(data)
        while at < size and not self._dead:
            at = self._take_header(data, at) if self._left < 0 else self._take_body(data, at)
            if self._left == 0:
                records.append(self._close(t_ns))
        return records

    def skip(self, gap_bytes: int, t_ns: int) -> list[Record]:
        """Pass over stream bytes that are missing: harmless inside a record's body, the end elsewhere."""
        self.hello.close()
        if self._dead or not gap_bytes:
            return []
        if gap_bytes <= self._left:
            self._left -= gap_bytes
            return [] if self._left else [self._close(t_ns)]
        self._dead = "gap"
        return []

    @property
    def end(self) -> str:
        """How it ended, if no byte follows: none, whole, partial, lost or gap (see the schema's tls_end)."""
        if self._dead:
            return self._dead
        if self.version < 0:
            return "none"
        return "partial" if self._header or self._left >= 0 else "whole"

    def _take_header(self, data: bytes, at: int) -> int:
        stop = at + HEADER_BYTES - len(self._header)
        header = self._header = self._header + data[at:stop]
        if not _plausible(header):
            self._dead = "none" if self.version < 0 else "lost"
            self.hello.close()
        elif len(header) == HEADER_BYTES:
            self._type, self._length = header[0], int.from_bytes(header[3:], "big")
            self._left, self._header = self._length, b""
            if self.version < 0:
                self.version = int.from_bytes(header[1:3], "big")
        return stop

    def _take_body(self, data: bytes, at: int) -> int:
        stop = min(at + self._left, len(data))
        if self._type == HANDSHAKE and not self.hello.closed:
            self.hello.feed(data[at:stop])
        self._left -= stop - at
        return stop

    def _close(self, t_ns: int) -> Record:
        self._left = -1
        return Record(self._type, self._length, t_ns)


def _plausible(header: bytes) -> bool:
    """Whether the 1 to 5 bytes can start a record; a verdict on a prefix holds for the whole header."""
    if header[0] not in CONTENT_TYPES or header[1:2] not in (b"", b"\x03"):
        return False
    if len(header) > 2 and header[2] > MAX_MINOR:
        return False
    if len(header) > 3 and header[3] << 8 > MAX_RECORD_BYTES:
        return False
    return len(header) < HEADER_BYTES or int.from_bytes(header[3:], "big") <= MAX_RECORD_BYTES
