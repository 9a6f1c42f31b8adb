"""A request's body, read and thrown away; chunked ones as nginx parses them."""

from __future__ import annotations

import re
from typing import Literal

MAX_CHUNK_DIGITS = 15
MAX_SIZE_LINE_BYTES = 4096

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,%d})(?:[; \t][^\n]*)?\r?\n" % MAX_CHUNK_DIGITS)
_SIZE_START = re.compile(rb"(?:[0-9A-Fa-f]{1,%d}(?:[; \t][^\n]*)?\r?)?\Z" % MAX_CHUNK_DIGITS)

_Part = Literal["size", "data", "end", "trailer", "done"]


class Body:
    """`take` removes the body's bytes from a buffer; `done` once all were there, `bad` once it can't be one."""

    def __init__(self, length: int | None) -> None:
        self.bad = False
        self._left = length or 0
        self._part: _Part = "size" if length is None else "data"
        self._chunked = length is None
        if not self._chunked and not self._left:
            self._part = "done"

    @property
    def done(self) -> bool:
        """Nothing of it is to come."""
        return self._part == "done"

    def take(self, buffer: bytearray) -> None:
        """Throw away what is there of it."""
        while not self.done and not self.bad and self._step(buffer):
            pass

    def _step(self, buffer: bytearray) -> bool:
        """Whether to go on."""
        if self._part == "data":
            return self._drop(buffer)
        if self._part == "size":
            return self._size(buffer)
        if self._part == "end":
            return self._newline(buffer, "size")
        return self._trailer(buffer)

    def _drop(self, buffer: bytearray) -> bool:
        dropped = min(self._left, len(buffer))
        del buffer[:dropped]
        self._left -= dropped
        if self._left:
            return False
        self._part = "end" if self._chunked else "done"
        return True

    def _size(self, buffer: bytearray) -> bool:
        found = _SIZE.match(buffer)
        if found is None:
            self.bad = len(buffer) > MAX_SIZE_LINE_BYTES or not _SIZE_START.match(buffer)
            return False
        self._left = int(found[1], 16)
        self._part = "data" if self._left else "trailer"
        del buffer[: found.end()]
        return True

    def _newline(self, buffer: bytearray, then: _Part) -> bool:
        if buffer[:1] == b"\n" or buffer[:2] == b"\r\n":
            del buffer[: buffer.index(b"\n") + 1]
            self._part = then
            return True
        self.bad = bytes(buffer) not in (b"", b"\r")
        return False

    def _trailer(self, buffer: bytearray) -> bool:
        end = buffer.find(b"\n") + 1
        if not end:
            self.bad = len(buffer) > MAX_SIZE_LINE_BYTES
            return False
        if bytes(buffer[:end]) in (b"\n", b"\r\n"):
            self._part = "done"
        del buffer[:end]
        return True
