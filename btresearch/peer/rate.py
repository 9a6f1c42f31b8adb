"""Bytes per second over the last moments, from times that are passed in."""

from __future__ import annotations

WINDOW_NS = 1_000_000_000


class Rate:
    """A sliding window made of two halves: the window before, weighted by what still overlaps, and this one."""

    def __init__(self, now_ns: int, *, window_ns: int = WINDOW_NS) -> None:
        self._window_ns = window_ns
        self._began_ns = now_ns
        self._start_ns = now_ns
        self._bytes = self._before_bytes = 0

    def add(self, now_ns: int, length_bytes: int) -> None:
        """`length_bytes` moved now."""
        if now_ns - self._start_ns >= self._window_ns:
            self._turn(now_ns)
        self._bytes += length_bytes

    def bytes_per_s(self, now_ns: int) -> float:
        """The rate now; before a whole window has passed, over the time that there was."""
        self._turn(now_ns)
        elapsed_ns = now_ns - self._start_ns
        overlap = 1 - elapsed_ns / self._window_ns
        span_ns = min(self._window_ns, max(now_ns - self._began_ns, self._window_ns // 10))
        return (self._before_bytes * overlap + self._bytes) * 1e9 / span_ns

    def _turn(self, now_ns: int) -> None:
        windows = (now_ns - self._start_ns) // self._window_ns
        if windows > 0:
            self._before_bytes = self._bytes if windows == 1 else 0
            self._bytes = 0
            self._start_ns += windows * self._window_ns
