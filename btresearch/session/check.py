"""Which pieces on disk are good: every byte hashed, holes skipped."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import lru_cache

from btresearch.peer.pieces import PieceSet
from btresearch.peer.torrent import Torrent
from btresearch.session.disk import sha1
from btresearch.session.storage import Storage

# (pieces checked, pieces in all)
Progress = Callable[[int, int], None]
_BATCH = 16


async def check(torrent: Torrent, storage: Storage, *, progress: Progress | None = None) -> PieceSet:
    """Hash what is there, in a thread; a piece that lies wholly in a hole is judged as zeros, unread.

    Raises:
        StorageError: a file can't be read.
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
    return [index for index in batch if _digest(storage, index, holes) == torrent.piece_hash(index)]


def _digest(storage: Storage, index: int, holes: Sequence[tuple[int, int]]) -> bytes:
    start = index * storage.layout.piece_length_bytes
    length = storage.layout.piece_bytes(index)
    hole = bisect_right(holes, (start, 1 << 63)) - 1
    if hole >= 0 and start + length <= sum(holes[hole]):
        return _digest_of_zeros(length)
    return sha1(storage.read_piece(index))


@lru_cache(maxsize=8)
def _digest_of_zeros(length: int) -> bytes:
    return sha1(bytes(length))
