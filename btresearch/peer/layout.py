"""How a torrent's bytes are cut: into pieces (hashed) and blocks (requested), BEP 3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

BLOCK_BYTES = 16 * 1024
"""What one request asks for: every client in use serves 16 KiB, several refuse more."""


class Block(NamedTuple):
    """A range inside one piece: piece `index`, first byte `begin`, `length` in bytes."""

    index: int  # type: ignore[assignment]  # the field of BEP 3 hides tuple.index, which nobody needs
    begin: int
    length: int


@dataclass(frozen=True, slots=True)
class Layout:
    """Sizes of a torrent in bytes; what is needed to judge any index, begin and length."""

    piece_length_bytes: int
    total_bytes: int

    @property
    def piece_count(self) -> int:
        """Number of pieces; the last one may be short."""
        return -(-self.total_bytes // self.piece_length_bytes)

    def piece_bytes(self, index: int) -> int:
        """Length in bytes of piece `index`; IndexError outside the torrent."""
        if not 0 <= index < self.piece_count:
            raise IndexError(f"piece {index} of {self.piece_count}")
        return min(self.piece_length_bytes, self.total_bytes - index * self.piece_length_bytes)

    def block_count(self, index: int) -> int:
        """Number of blocks in piece `index`."""
        return -(-self.piece_bytes(index) // BLOCK_BYTES)

    def block(self, index: int, number: int) -> Block:
        """Block `number` of piece `index`."""
        begin = number * BLOCK_BYTES
        return Block(index, begin, min(BLOCK_BYTES, self.piece_bytes(index) - begin))
