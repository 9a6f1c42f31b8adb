"""One direction of a TCP connection, from segments in any order back to its byte stream (RFC 9293).

Of bytes that arrive twice the first win. A hole that never fills is skipped, as a recorded gap, once the
segments behind it exceed the buffer, or when the flow ends.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

MAX_WINDOW_BYTES = 1 << 30  # RFC 7323 section 2.3: the largest window
MAX_PENDING_BYTES = 4 << 20  # held behind a hole; a long fat path has about 1 MB in flight
MAX_PENDING = 4096


class Chunk(NamedTuple):
    """The next bytes of the stream, and how many after them the capture lacks.

    `t_ns` is the time of the packet that made the bytes contiguous.
    """

    t_ns: int
    data: bytes
    gap_bytes: int


class _Pending(NamedTuple):
    start: int
    stop: int
    data: bytes  # shorter than stop - start where the snap length cut it
    t_ns: int


class Reassembly:
    """A stream under reassembly. Offsets count from its first byte and never wrap."""

    __slots__ = (
        "_base", "_clock_ns", "_fin", "_highest", "_next", "_pending", "_pending_bytes",
        "gap_bytes", "out_of_order", "out_of_window", "retransmitted",
    )  # fmt: skip

    def __init__(self) -> None:
        self._base: int | None = None  # sequence number of the first stream byte
        self._next = self._highest = self._clock_ns = self._pending_bytes = 0
        self._fin = -1
        self._pending: list[_Pending] = []  # sorted, not overlapping, all behind _next
        self.gap_bytes = self.out_of_order = self.out_of_window = self.retransmitted = 0

    def syn(self, seq: int) -> None:
        """Learn from a SYN where the stream starts, unless data was there before it."""
        if self._base is None:
            self._base = (seq + 1) & 0xFFFFFFFF

    def fin(self, seq: int) -> None:
        """Learn that the stream ends at `seq`, so that `flush` can count what lacks before it."""
        if self._base is not None:
            self._fin = self._offset(seq)

    def segment(self, seq: int, data: bytes, length: int, t_ns: int) -> tuple[Chunk, ...]:
        """Take `length` > 0 bytes at `seq`, of which `data` was captured; return what is next in the stream."""
        if self._base is None:
            self._base = seq
        start = self._offset(seq)
        stop = start + length
        if stop <= self._next:
            self.retransmitted += 1
            return ()
        if start > self._next + MAX_WINDOW_BYTES:
            self.out_of_window += 1
            return ()
        if start != self._next or self._pending:
            return self._out_of_step(_Pending(start, stop, data, t_ns))
        self._next = self._highest = stop
        self._clock_ns = t_ns
        missing = length - len(data)
        self.gap_bytes += missing
        return (Chunk(t_ns, data, missing),)

    def flush(self) -> tuple[Chunk, ...]:
        """Skip every hole that is left, at the end of the flow."""
        chunks: list[Chunk] = []
        while self._pending:
            self._skip_hole(chunks)
        if self._next < self._fin <= self._next + MAX_WINDOW_BYTES:
            chunks.append(self._gap(self._fin))
        return tuple(chunks)

    def _offset(self, seq: int) -> int:
        """Unwrap a 32-bit sequence number to the offset nearest to the next expected byte."""
        ahead = (seq - (self._base or 0) - self._next) & 0xFFFFFFFF
        return self._next + (ahead - 0x1_0000_0000 if ahead >= 0x8000_0000 else ahead)

    def _out_of_step(self, new: _Pending) -> tuple[Chunk, ...]:
        pieces = self._uncovered(max(new.start, self._next), new.stop)
        if not pieces:
            self.retransmitted += 1
            return ()
        if pieces[0][0] < self._highest:
            self.out_of_order += 1
        for start, stop in pieces:
            self._hold(_Pending(start, stop, new.data[start - new.start : stop - new.start], new.t_ns))
        chunks: list[Chunk] = []
        self._drain(chunks)
        while self._pending_bytes > MAX_PENDING_BYTES or len(self._pending) > MAX_PENDING:
            self._skip_hole(chunks)
        return tuple(chunks)

    def _uncovered(self, start: int, stop: int) -> list[tuple[int, int]]:
        """The parts of [start, stop) that no pending segment covers."""
        pieces = []
        first = max(bisect_right(self._pending, start, key=lambda held: held.start) - 1, 0)
        for held in self._pending[first:]:
            if held.start >= stop:
                break
            if held.start > start:
                pieces.append((start, held.start))
            start = max(start, held.stop)
        if start < stop:
            pieces.append((start, stop))
        return pieces

    def _hold(self, piece: _Pending) -> None:
        self._pending.insert(bisect_right(self._pending, piece.start, key=lambda held: held.start), piece)
        self._pending_bytes += len(piece.data)
        self._highest = max(self._highest, piece.stop)

    def _drain(self, chunks: list[Chunk]) -> None:
        done = 0
        for held in self._pending:
            if held.start != self._next:
                break
            done += 1
            self._next = held.stop
            self._clock_ns = max(self._clock_ns, held.t_ns)
            self._pending_bytes -= len(held.data)
            missing = held.stop - held.start - len(held.data)
            self.gap_bytes += missing
            chunks.append(Chunk(self._clock_ns, held.data, missing))
        del self._pending[:done]

    def _skip_hole(self, chunks: list[Chunk]) -> None:
        chunks.append(self._gap(self._pending[0].start))
        self._drain(chunks)

    def _gap(self, stop: int) -> Chunk:
        gap, self._next = stop - self._next, stop
        self.gap_bytes += gap
        return Chunk(self._clock_ns, b"", gap)
