"""How many peers have each piece, kept so that a rarest one is found without looking at all of them."""

from __future__ import annotations

from collections.abc import Iterable

from btresearch.peer.pieces import PieceSet
from btresearch.peer.rng import Rng


class Availability:
    """Pieces that may be started, in one bucket per number of (partial) peers that have them.

    Seeds have everything and so change no order: they are not counted, and one that joins costs nothing.
    Moving a piece between buckets is a swap and a pop.
    """

    def __init__(self, piece_count: int, open_pieces: Iterable[int]) -> None:
        self._counts = [0] * piece_count
        self._buckets: list[list[int]] = [list(open_pieces)]
        self._place = [-1] * piece_count
        for place, index in enumerate(self._buckets[0]):
            self._place[index] = place
        self._open_count = len(self._buckets[0])

    @property
    def open_count(self) -> int:
        """Pieces that nobody has been asked for yet."""
        return self._open_count

    def change(self, index: int, by: int) -> None:
        """One peer more (+1) or fewer (-1) has piece `index`."""
        if self._place[index] < 0:
            self._counts[index] += by
            return
        self._leave(index)
        self._counts[index] += by
        self._enter(index)

    def open(self, index: int) -> None:
        """Piece `index` may be started (again)."""
        if self._place[index] < 0:
            self._enter(index)
            self._open_count += 1

    def close(self, index: int) -> None:
        """Piece `index` has been started or is had."""
        if self._place[index] >= 0:
            self._leave(index)
            self._open_count -= 1

    def rarest(self, pieces: PieceSet, rng: Rng) -> int | None:
        """An open piece out of `pieces` that fewest peers have, chance deciding between equals."""
        for bucket in self._buckets:
            start = rng.randrange(len(bucket)) if bucket else 0
            for place in range(start - len(bucket), start):
                if bucket[place] in pieces:
                    return bucket[place]
        return None

    def _enter(self, index: int) -> None:
        count = self._counts[index]
        while len(self._buckets) <= count:
            self._buckets.append([])
        self._place[index] = len(self._buckets[count])
        self._buckets[count].append(index)

    def _leave(self, index: int) -> None:
        bucket, place = self._buckets[self._counts[index]], self._place[index]
        bucket[place] = bucket[-1]
        self._place[bucket[place]] = place
        bucket.pop()
        self._place[index] = -1
