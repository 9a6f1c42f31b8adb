"""Which pieces on disk are good: every byte hashed, holes skipped."""

from __future__ import annotations

import asyncio
import hashlib
from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import lru_cache

from btresearch.peer import merkle
from btresearch.peer.piece_hash import PieceHash
from btresearch.peer.pieces import PieceSet
from btresearch.peer.torrent import Torrent
from btresearch.session.storage import Storage

# (pieces checked, pieces in all)
Progress = Callable[[int, int], None]
_BATCH = 16


async def check(torrent: Torrent, storage: Storage, *, progress: Progress | None = None) -> PieceSet:
    """Hash what is there, in a thread; a piece that lies wholly in a hole is judged as zeros, unread.

    Raises:
        StorageError: a file can't be read.
        InputError: a hybrid torrent whose two halves describe different contents.
    """
    have = PieceSet(torrent.piece_count)
    holes = await asyncio.to_thread(storage.holes)
    for start in range(0, torrent.piece_count, _BATCH):
        batch = range(start, min(start + _BATCH, torrent.piece_count))
        for index in await asyncio.to_thread(_good, torrent, storage, batch, holes):
            have.add(index)
        if progress is not None:
            progress(batch.stop, torrent.piece_count)
    return have


def _good(torrent: Torrent, storage: Storage, batch: range, holes: Sequence[tuple[int, int]]) -> list[int]:
    return [index for index in batch if _fits(torrent.piece_hash(index), storage, index, holes)]


def _fits(expected: PieceHash, storage: Storage, index: int, holes: Sequence[tuple[int, int]]) -> bool:
    start = index * storage.layout.piece_length_bytes
    length = storage.layout.piece_bytes(index)
    hole = bisect_right(holes, (start, 1 << 63)) - 1
    if hole >= 0 and start + length <= sum(holes[hole]):
        return _is_of_zeros(expected, length)
    return expected.fits(storage.read_piece(index))


def _is_of_zeros(expected: PieceHash, length: int) -> bool:
    sha1, root = _hashes_of_zeros(length, expected.data_bytes, expected.depth)
    return (expected.sha1 in (None, sha1)) and (expected.root in (None, root)) and expected.known


@lru_cache(maxsize=8)
def _hashes_of_zeros(length: int, data_bytes: int, depth: int) -> tuple[bytes, bytes]:
    leaves = merkle.leaf_hashes(bytes(data_bytes))
    sha1 = hashlib.sha1(bytes(length), usedforsecurity=False).digest()
    return sha1, merkle.root_of(leaves, level=0, depth=depth)
