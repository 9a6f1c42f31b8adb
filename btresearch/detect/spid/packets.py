"""The measured packets of many sessions laid end to end, so that a meter is a few array operations."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Octets = npt.NDArray[np.uint8]
Counts = npt.NDArray[np.int64]  # sessions x 256 bins

BINS = 256
HEAD_BYTES = 32  # the most that a meter looks at in every packet
OPENING_BYTES = 100  # the most that a meter looks at in the first eight
PAIRS = HEAD_BYTES // 2


@dataclass(frozen=True, eq=False)
class Packets:
    """One entry per measured packet, session by session; every session has at least one.

    `row` is the packet's session (0, 1 ...), `k` its index among the session's payload packets of both directions,
    `length` the payload on the wire, `header` the frame's bytes before it, `gap_ns` the time since the session's
    packet before (0 for the first), `payload` what the capture kept of it.
    """

    row: Ints
    k: Ints
    from_client: Bools
    length: Ints
    header: Ints
    gap_ns: Ints
    payload: npt.NDArray[np.object_]
    sessions: int

    def chosen(self, which: Bools) -> Packets:
        """The packets where `which` holds, under the sessions' old numbers."""
        return Packets(
            self.row[which],
            self.k[which],
            self.from_client[which],
            self.length[which],
            self.header[which],
            self.gap_ns[which],
            self.payload[which],
            self.sessions,
        )

    @cached_property
    def _openings(self) -> dict[int, Packets]:
        return {}

    def first(self, limit: int) -> Packets:
        """The first `limit` packets of every session."""
        if limit not in self._openings:
            self._openings[limit] = self.chosen(self.k < limit)
        return self._openings[limit]

    @cached_property
    def kept(self) -> Ints:
        """Bytes of each packet that the capture kept."""
        return np.fromiter(map(len, self.payload.tolist()), np.int64, len(self.payload))

    @cached_property
    def head(self) -> Octets:
        """The first 32 bytes of every packet, a row each, zeros where it is shorter."""
        return self._bytes(HEAD_BYTES)

    @cached_property
    def opening(self) -> Octets:
        """The first 100 bytes of every packet, a row each, zeros where it is shorter."""
        return self._bytes(OPENING_BYTES)

    def _bytes(self, width: int) -> Octets:
        # numpy's fixed-width strings cut and pad with zeros, far faster than slicing in Python.
        return self.payload.astype(f"S{width}").view(np.uint8).reshape(len(self.payload), width)

    def reach(self, width: int) -> Bools:
        """Which of the first `width` bytes each packet has: shape (packets, width)."""
        return np.asarray(np.arange(width) < self.kept[:, None])

    def count(self, bins: Ints, where: Bools | None = None) -> Counts:
        """How often each session hit each bin; `bins` has one entry, or a row of entries, per packet."""
        keys = bins + (BINS * self.row if bins.ndim == 1 else BINS * self.row[:, None])
        return self._counted(keys.ravel() if where is None else keys[where])

    def _counted(self, keys: Ints) -> Counts:
        return np.bincount(keys, minlength=BINS * self.sessions).reshape(self.sessions, BINS)

    def count_at(self, packet: Ints, bins: Ints) -> Counts:
        """As `count`, of bins that the packets of these positions hit."""
        return self._counted(BINS * self.row[packet] + bins)

    def count_bytes(self, octets: Octets, size: Ints, place: Ints | int = 0) -> Counts:
        """As `count`, of the first `size` bytes of each packet, each added to the packet's `place`."""
        keys: Ints = np.repeat(BINS * self.row + place, size)
        keys += octets[np.arange(octets.shape[1]) < size[:, None]]
        return self._counted(keys)

    def total(self, marks: Octets) -> Counts:
        """Sum of a row of marks per packet over each session (of at most 255 packets)."""
        sums = np.zeros((self.sessions, marks.shape[1]), np.int64)
        if len(self.row):
            starts = np.flatnonzero(np.diff(self.row, prepend=-1))
            sums[self.row[starts]] = np.add.reduceat(marks, starts, axis=0, dtype=np.uint8)
        return sums

    @cached_property
    def turns(self) -> Bools:
        """Packets that begin a direction run: the first of a session, and those that answer the other end."""
        return np.asarray((self.k == 0) | (self.from_client != np.roll(self.from_client, 1)))

    @cached_property
    def run(self) -> Ints:
        """Number of direction changes in the session before the packet."""
        changes: Ints = np.cumsum(self.turns)
        return np.asarray(changes - changes[self.k == 0][self.row])

    @cached_property
    def way_k(self) -> Ints:
        """The packet's index among those of its direction in the session."""
        before: Ints = np.cumsum(self.from_client) - self.from_client
        clients: Ints = before - before[self.k == 0][self.row]
        return np.where(self.from_client, clients, self.k - clients)

    @cached_property
    def pairs(self) -> npt.NDArray[np.uint16]:
        """The aligned byte pairs of the first 32 bytes: shape (16, packets), zeros beyond the end."""
        return np.ascontiguousarray(self.head.view(">u2").T, dtype=np.uint16)

    @cached_property
    def recurring(self) -> Bools:
        """Pairs that occur anywhere in the session's packet before: shape (16, packets)."""
        size = np.minimum(self.kept // 2, PAIRS)
        before, known = np.roll(self.pairs, 1, axis=1), np.where(self.k == 0, 0, np.roll(size, 1))
        found = np.zeros(before.shape, dtype=bool)
        for i, other in enumerate(before):
            # Beyond the end of the packet before, its first pair is looked for once more.
            found |= self.pairs == np.where(i < known, other, before[0])
        return np.asarray(found & (known > 0) & (np.arange(PAIRS)[:, None] < size))

    @cached_property
    def recurring_once(self) -> Bools:
        """As `recurring`, a value that the packet repeats only at its first place."""
        once = self.recurring.copy()
        several = np.flatnonzero(once.sum(axis=0, dtype=np.uint8) > 1)
        pairs = self.pairs[:, several]
        for i in range(1, PAIRS):
            once[i, several] &= ~(pairs[:i] == pairs[i]).any(axis=0)
        return once
