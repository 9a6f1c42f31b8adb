"""What a piece must hash to: SHA-1 (BEP 3), the root of its Merkle tree (BEP 52), or both (hybrid)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from btresearch.errors import InputError
from btresearch.peer import merkle
from btresearch.peer.merkle import Buffer


@dataclass(frozen=True, slots=True)
class PieceHash:
    """The hashes of one piece; `sha1` or `root` is None where the torrent has none (or not yet).

    `root` covers the first `data_bytes` of the piece, in a tree of `depth` levels above its blocks; what
    follows in a hybrid torrent's piece is padding (zeros, BEP 47).
    """

    sha1: bytes | None
    root: bytes | None = None
    data_bytes: int = 0
    depth: int = 0

    @property
    def known(self) -> bool:
        """Whether there is anything to hold a piece against."""
        return self.sha1 is not None or self.root is not None

    def fits(self, data: Buffer) -> bool:
        """Whether `data` is the piece.

        Raises InputError if it is by one of the two hashes only: nothing can ever be right for both.
        """
        if self.root is None:
            return self._fits_sha1(data)
        by_root = self._fits_root(data)
        if self.sha1 is None:
            return by_root
        by_sha1 = self._fits_sha1(data)
        # Padding that is not zero is a lie of whoever sent it, and none of the torrent's.
        if by_sha1 != by_root and not any(memoryview(data)[self.data_bytes :]):
            right, wrong = ("SHA-1", "SHA-256") if by_sha1 else ("SHA-256", "SHA-1")
            raise InputError(
                "hybrid torrent", f"one content for both hashes; a piece has the right {right}, not {wrong}"
            )
        return by_sha1 and by_root

    def _fits_sha1(self, data: Buffer) -> bool:
        return hashlib.sha1(data, usedforsecurity=False).digest() == self.sha1

    def _fits_root(self, data: Buffer) -> bool:
        leaves = merkle.leaf_hashes(memoryview(data)[: self.data_bytes])
        return merkle.root_of(leaves, level=0, depth=self.depth) == self.root
