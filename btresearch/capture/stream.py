"""The bytes of a capture file, from a path, standard input or a file object, gzipped or not."""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike, fspath
from typing import IO, Any, BinaryIO, NoReturn, cast

from btresearch.capture.packet import DamagedCapture

Source = str | PathLike[str] | BinaryIO
"""A path, "-" for standard input, or an open binary file."""

GZIP_MAGIC = b"\x1f\x8b"  # RFC 1952 section 2.3.1
BUFFER_BYTES = 1 << 18


class ByteStream:
    """Reads exact lengths and knows its offset; what is missing or undecodable is `DamagedCapture`."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file, self.name, self.offset = file, name, 0

    def take(self, size: int, what: str) -> bytes:
        """Return exactly `size` bytes, which are the file's `what`."""
        data = self.take_or_end(size, what)
        if data is None:
            self.fail("truncated", f"{size} bytes of {what}, not the end of the file")
        return data

    def take_or_end(self, size: int, what: str) -> bytes | None:
        """Return exactly `size` bytes, or None where the file ends cleanly before the first of them."""
        try:
            data = self._file.read(size)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            self.fail("gzip", f"intact gzip data ({error})")
        if len(data) == size:
            self.offset += size
            return data
        if data:
            self.fail("truncated", f"{size} bytes of {what}, not {len(data)}")
        return None

    def fail(self, kind: str, expected: str, *, back: int = 0) -> NoReturn:
        """Raise the damage found at `back` bytes before the current offset."""
        raise DamagedCapture(kind, self.name, expected, offset=self.offset - back)


@contextmanager
def opened(source: Source) -> Iterator[ByteStream]:
    """Open `source` for reading; a file object that the caller brought stays open."""
    if isinstance(source, str) and source == "-":
        source = sys.stdin.buffer
    if isinstance(source, str | PathLike):
        with io.FileIO(fspath(source)) as raw, io.BufferedReader(raw, BUFFER_BYTES) as file:
            yield ByteStream(_gunzipped(file), fspath(source))
        return
    buffered = (
        source if isinstance(source, io.BufferedReader) else io.BufferedReader(cast("io.RawIOBase", source))
    )
    try:
        yield ByteStream(_gunzipped(buffered), source_name(source))
    finally:
        if buffered is not source:
            buffered.detach()  # else its destructor would close the caller's file


def source_name(source: Source) -> str:
    """Return what to call `source` in a message."""
    if isinstance(source, str | PathLike):
        return fspath(source)
    return str(getattr(source, "name", "stream"))


def _gunzipped(file: io.BufferedReader[Any]) -> IO[bytes]:
    if file.peek(2)[:2] != GZIP_MAGIC:
        return file
    return io.BufferedReader(cast("io.RawIOBase", gzip.GzipFile(fileobj=file)), BUFFER_BYTES)
