"""Merkle trees over the blocks of one file, BEP 52: SHA-256, two branches, zeros beyond the end.

Level 0 is the hashes of 16 KiB blocks, level n the hashes that cover 2^n blocks each. Only real hashes are
kept; those that balance a tree are computed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import lru_cache

HASH_BYTES = 32
LEAF_BYTES = 16 * 1024

Buffer = bytes | bytearray | memoryview


def sha256(data: Buffer) -> bytes:
    """SHA-256."""
    return hashlib.sha256(data).digest()


@lru_cache(maxsize=64)
def pad(level: int) -> bytes:
    """The hash, at `level`, of a subtree that lies wholly beyond the end of the file."""
    return sha256(2 * pad(level - 1)) if level else bytes(HASH_BYTES)


def depth_of(count: int) -> int:
    """Levels above a row of `count` hashes, the root's among them; the row is filled up to 2^depth."""
    return max(0, count - 1).bit_length()


def leaf_hashes(data: Buffer) -> list[bytes]:
    """The hash of each block of `data`; the last one may be short."""
    view = memoryview(data)
    return [
        hashlib.sha256(view[start : start + LEAF_BYTES]).digest() for start in range(0, len(view), LEAF_BYTES)
    ]


def root_of(hashes: Sequence[bytes], *, level: int, depth: int) -> bytes:
    """The root, `depth` levels up, of the subtree whose row at `level` begins with `hashes`."""
    row = list(hashes) or [pad(level)]
    for height in range(level, level + depth):
        row = _above(row, height)
    return row[0]


def proven_root(hashes: Sequence[bytes], uncles: Sequence[bytes], *, level: int, index: int) -> bytes:
    """The root that a file's tree has if `hashes` stand at `index` of `level` and `uncles` beside their way up.

    The caller judges that the number of uncles is right: the root is as many levels up as there are.
    """
    depth = depth_of(len(hashes))
    node, place = root_of(hashes, level=level, depth=depth), index >> depth
    for uncle in uncles:
        node = sha256(uncle + node if place & 1 else node + uncle)
        place >>= 1
    return node


def split(hashes: bytes) -> list[bytes]:
    """A string of hashes, one by one."""
    return [hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)]


class Tree:
    """A file's tree from one row of it upwards: what answers are taken from.

    `level` is that of the row, `count` the number of its real hashes.
    """

    def __init__(self, row: Sequence[bytes], *, level: int) -> None:
        self.level, self.count, self.depth = level, len(row), depth_of(len(row))
        self._rows = [list(row)]
        for height in range(level, level + self.depth):
            self._rows.append(_above(self._rows[-1], height))

    @property
    def root(self) -> bytes:
        """The file's pieces root, if the row is right."""
        return self._rows[-1][0]

    def run(self, level: int, index: int, length: int) -> list[bytes]:
        """`length` hashes from `index` of `level`, padded beyond the end; IndexError below the row."""
        return [self._at(level, place) for place in range(index, index + length)]

    def uncles(self, level: int, index: int, length: int, proof_layers: int) -> list[bytes]:
        """What proves `run`, nearest first, as far up as `proof_layers` levels above `level` (BEP 52)."""
        first = depth_of(length)
        return [self._at(level + up, (index >> up) ^ 1) for up in range(first, proof_layers + 1)]

    def _at(self, level: int, index: int) -> bytes:
        if level < self.level:
            raise IndexError(f"level {level} of a tree from {self.level} on")
        row = self._rows[level - self.level]
        return row[index] if index < len(row) else pad(level)


def _above(row: Sequence[bytes], level: int) -> list[bytes]:
    return list(_pairs(row, level))


def _pairs(row: Sequence[bytes], level: int) -> Iterator[bytes]:
    for at in range(0, len(row) - 1, 2):
        yield sha256(row[at] + row[at + 1])
    if len(row) % 2:
        yield sha256(row[-1] + pad(level))
