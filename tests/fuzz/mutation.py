"""A small mutating fuzzer: valid inputs, damaged by what decoders get wrong (lengths, counts, depths, ends)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from random import Random

from tests.fuzz.target import MAX_INPUT_BYTES

MOST_CHANGES = 6
_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)
_TEXTS = (
    b"0",
    b"-1",
    b"99999999999999999999",
    b"9" * 5000,
    b"i0e",
    b"l" * 300,
    b"d" * 300,
    b"\0",
    b"%",
    b"\r\n",
)
_DIGITS = re.compile(rb"\d+")


def mutants(seeds: Sequence[bytes], rng: Random) -> Iterator[bytes]:
    """Without end: every seed as it is, then damaged ones, then now and then noise."""
    yield from seeds
    while True:
        if rng.random() < 0.05:
            yield rng.randbytes(rng.randrange(200))
            continue
        data = bytearray(rng.choice(seeds))
        for _ in range(rng.randint(1, MOST_CHANGES)):
            rng.choice(_CHANGES)(data, seeds, rng)
        yield bytes(data[:MAX_INPUT_BYTES])


def _place(data: bytearray, rng: Random) -> int:
    return rng.randrange(len(data) + 1)


def _flip(data: bytearray, _: Sequence[bytes], rng: Random) -> None:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _number(data: bytearray, _: Sequence[bytes], rng: Random) -> None:
    at, size = _place(data, rng), rng.choice((1, 2, 3, 4, 8))
    value = rng.choice(_NUMBERS) & ((1 << 8 * size) - 1)
    data[at : at + size] = value.to_bytes(size, rng.choice(("big", "little")))


def _count(data: bytearray, _: Sequence[bytes], rng: Random) -> None:
    """A decimal number, as bencoding and HTTP write lengths, becomes another."""
    found = list(_DIGITS.finditer(bytes(data)))
    if found:
        match = rng.choice(found)
        by = rng.choice((-1, 1, 10, 1 << 32, -int(match[0][:18])))
        data[match.start() : match.end()] = b"%d" % (int(match[0][:18]) + by)


def _cut(data: bytearray, _: Sequence[bytes], rng: Random) -> None:
    at = _place(data, rng)
    del data[at : at + rng.choice((1, 4, 32, MAX_INPUT_BYTES))]


def _repeat(data: bytearray, _: Sequence[bytes], rng: Random) -> None:
    at = _place(data, rng)
    data[at:at] = data[at : at + rng.choice((1, 8, 64))] * rng.choice((1, 2, 50))


def _insert(data: bytearray, _: Sequence[bytes], rng: Random) -> None:
    at = _place(data, rng)
    data[at:at] = rng.choice((rng.choice(_TEXTS), rng.randbytes(rng.randrange(1, 9))))


def _splice(data: bytearray, seeds: Sequence[bytes], rng: Random) -> None:
    other = rng.choice(seeds)
    data[_place(data, rng) :] = other[rng.randrange(len(other) + 1) :]


_CHANGES: tuple[Callable[[bytearray, Sequence[bytes], Random], None], ...] = (
    _flip,
    _number,
    _count,
    _cut,
    _repeat,
    _insert,
    _splice,
)
