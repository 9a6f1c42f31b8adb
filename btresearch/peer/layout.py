"""How a torrent's bytes are cut: into files, pieces (hashed) and blocks (requested), BEP 3 and 52."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

BLOCK_BYTES = 16 * 1024
"""What one request asks for: every client in use serves 16 KiB, several refuse more."""


class Block(NamedTuple):
    """A range inside one piece: piece `index`, first byte `begin`, `length` in bytes."""

    index: int  # type: ignore[assignment]  # the field of BEP 3 hides tuple.index, which nobody needs
    begin: int
    length: int


@dataclass(frozen=True, slots=True)
class File:
    """One file: `path` is relative and safe to join, `offset_bytes` its place in the torrent's content.

    `padding` (BEP 47): the content is zeros that only fill up a piece; nobody stores it. `root`: the root of
    its Merkle tree (BEP 52); None in a v1 torrent and for an empty file.
    """

    path: tuple[str, ...]
    length_bytes: int
    offset_bytes: int
    padding: bool = False
    root: bytes | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """Sizes of a torrent in bytes; what is needed to judge any index, begin and length.

    `short` are pieces before the last one that are not full: in a v2 torrent every file begins with a piece
    of its own, so that the last piece of any file may be short.
    """

    piece_length_bytes: int
    total_bytes: int
    short: Mapping[int, int] = field(default_factory=dict, hash=False)

    @classmethod
    def aligned(cls, piece_length_bytes: int, files: Iterable[File]) -> Layout:
        """That of a v2 torrent: `total_bytes` reaches from the first file's begin to the last one's end."""
        ends = [file.offset_bytes + file.length_bytes for file in files if file.length_bytes]
        short = {end // piece_length_bytes: end % piece_length_bytes for end in ends[:-1]}
        short = {index: length for index, length in short.items() if length}
        return cls(piece_length_bytes, ends[-1], short)

    @property
    def piece_count(self) -> int:
        """Number of pieces; the last one may be short."""
        return -(-self.total_bytes // self.piece_length_bytes)

    def piece_bytes(self, index: int) -> int:
        """Length in bytes of piece `index`; IndexError outside the torrent."""
        if not 0 <= index < self.piece_count:
            raise IndexError(f"piece {index} of {self.piece_count}")
        if self.short and index in self.short:
            return self.short[index]
        return min(self.piece_length_bytes, self.total_bytes - index * self.piece_length_bytes)

    def block_count(self, index: int) -> int:
        """Number of blocks in piece `index`."""
        return -(-self.piece_bytes(index) // BLOCK_BYTES)

    def block(self, index: int, number: int) -> Block:
        """Block `number` of piece `index`."""
        return self.blocks(index, (number,))[0]

    def blocks(self, index: int, numbers: Iterable[int]) -> list[Block]:
        """Some blocks of piece `index`, by their numbers."""
        size = self.piece_bytes(index)
        begins = (number * BLOCK_BYTES for number in numbers)
        return [Block(index, begin, min(BLOCK_BYTES, size - begin)) for begin in begins]
