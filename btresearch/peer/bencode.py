"""Bencoding, BEP 3: strict in what is one value, lenient in key order, bounded in everything.

Integers are canonical, strings are bytes, nothing may follow the value. Keys out of order occur in real
.torrent files: they are accepted and reported (`Document.unsorted_at`); a repeated key is refused, since
two readers could each believe a different value. The spans of a dictionary's values are kept, so that an
infohash is the hash of the bytes that came and never of a re-encoding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from btresearch.errors import InputError

MAX_DEPTH = 64
"""Containers within containers; a file tree of a v2 torrent is the deepest real use."""
MAX_ITEMS = 1_000_000
"""Values in one document; libtorrent stops at 3,000,000 tokens."""
MAX_INTEGER_DIGITS = 19
"""Fits a signed 64-bit integer, as every client assumes."""
MAX_LENGTH_DIGITS = 10


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes that are bencoded already and go out as they are."""

    data: bytes


Value: TypeAlias = "int | bytes | list[Value] | dict[bytes, Value]"
"""What decoding gives: int, bytes, list, or dict with bytes keys."""
Encodable: TypeAlias = "Raw | int | bytes | str | Sequence[Encodable] | Mapping[bytes, Encodable]"
"""What encoding takes: also str (as UTF-8), tuples and ready-made `Raw` parts."""


@dataclass(frozen=True, slots=True)
class Document:
    """A decoded value and where it stood.

    `end` is the offset after it. `spans` gives [start, end) of each value of the outermost dictionary.
    `unsorted_at` holds the offsets of keys that came out of order.
    """

    value: Value
    end: int
    spans: Mapping[bytes, tuple[int, int]] = field(default_factory=dict)
    unsorted_at: tuple[int, ...] = ()


def decode(data: bytes, *, source: str = "bencoded data") -> Value:
    """The one value that `data` is. Raises InputError with the byte offset and what was expected."""
    return read(data, source=source).value


def decode_prefix(data: bytes, *, source: str = "bencoded data") -> tuple[Value, int]:
    """The value at the start of `data` and where it ends (BEP 9 puts raw bytes behind a dictionary)."""
    document = read(data, source=source, whole=False)
    return document.value, document.end


def read(data: bytes, *, source: str = "bencoded data", whole: bool = True) -> Document:
    """Decode with spans and remarks. `whole`: nothing may follow the value. Raises InputError."""
    reader = _Reader(data, source)
    value, end = reader.value(0, 0)
    if whole and end != len(data):
        raise InputError(source, f"the end of the data, not {len(data) - end} more bytes", offset=end)
    return Document(value, end, reader.spans, tuple(reader.unsorted_at))


class _Reader:
    """One pass over `data`; every method takes an offset and returns a value and the offset after it."""

    def __init__(self, data: bytes, source: str) -> None:
        self._data, self._source, self._items = data, source, 0
        self.spans: dict[bytes, tuple[int, int]] = {}
        self.unsorted_at: list[int] = []

    def value(self, at: int, depth: int) -> tuple[Value, int]:
        self._items += 1
        if self._items > MAX_ITEMS:
            raise self._error(at, f"at most {MAX_ITEMS} values")
        kind = self._data[at : at + 1]
        if kind.isdigit():
            return self.string(at)
        if kind == b"i":
            return self._integer(at)
        if kind in (b"l", b"d") and depth >= MAX_DEPTH:
            raise self._error(at, f"at most {MAX_DEPTH} levels of nesting")
        if kind == b"l":
            return self._list(at, depth + 1)
        if kind == b"d":
            return self._dict(at, depth + 1)
        raise self._error(at, "a value (a digit, i, l or d)")

    def string(self, at: int) -> tuple[bytes, int]:
        colon = self._data.find(b":", at, at + MAX_LENGTH_DIGITS + 1)
        digits = self._data[at:colon] if colon >= 0 else b""
        if not _canonical(digits):
            raise self._error(at, "a string's length and a colon")
        end = colon + 1 + int(digits)
        if end > len(self._data):
            raise self._error(at, f"{int(digits)} bytes of string, with {len(self._data) - colon - 1} left")
        return self._data[colon + 1 : end], end

    def _integer(self, at: int) -> tuple[int, int]:
        end = self._data.find(b"e", at, at + MAX_INTEGER_DIGITS + 3)
        digits = self._data[at + 1 : end] if end >= 0 else b""
        unsigned = digits.removeprefix(b"-")
        if not _canonical(unsigned) or digits == b"-0" or len(unsigned) > MAX_INTEGER_DIGITS:
            raise self._error(at, "an integer without leading zeros, of 19 digits at most")
        return int(digits), end + 1

    def _list(self, at: int, depth: int) -> tuple[list[Value], int]:
        items: list[Value] = []
        at += 1
        while self._data[at : at + 1] != b"e":
            item, at = self.value(at, depth)
            items.append(item)
        return items, at + 1

    def _dict(self, at: int, depth: int) -> tuple[dict[bytes, Value], int]:
        items: dict[bytes, Value] = {}
        last = b""
        at += 1
        while self._data[at : at + 1] != b"e":
            key, start = self._key(at, items)
            if key < last:
                self.unsorted_at.append(at)
            last = key
            items[key], at = self.value(start, depth)
            if depth == 1:
                self.spans[key] = (start, at)
        return items, at + 1

    def _key(self, at: int, seen: dict[bytes, Value]) -> tuple[bytes, int]:
        if not self._data[at : at + 1].isdigit():
            raise self._error(at, "a key (a string) or the end of the dictionary")
        key, end = self.string(at)
        if key in seen:
            raise self._error(at, f"each key once, not {key[:32]!r} again")
        return key, end

    def _error(self, at: int, expected: str) -> InputError:
        return InputError(self._source, expected, offset=min(at, len(self._data)))


def _canonical(digits: bytes) -> bool:
    return digits.isdigit() and (digits == b"0" or not digits.startswith(b"0"))


def encode(value: Encodable) -> bytes:
    """The canonical encoding: keys sorted as raw bytes. Raises TypeError for what bencoding lacks."""
    return b"".join(_encode(value))


def _encode(value: Encodable) -> Iterator[bytes]:
    match value:
        case Raw(data):
            yield data
        case bytes():
            yield b"%d:%b" % (len(value), value)
        case str():
            yield from _encode(value.encode())
        case int():
            yield b"i%de" % value
        case Mapping():
            yield b"d"
            for key in sorted(value):
                yield from _encode(key)
                yield from _encode(value[key])
            yield b"e"
        case Sequence():
            yield b"l"
            for item in value:
                yield from _encode(item)
            yield b"e"
        case _:
            raise TypeError(f"bencoding has no {type(value).__name__}")
