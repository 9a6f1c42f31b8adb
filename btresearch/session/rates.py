"""How fast, and no faster: a smoothed rate and a token bucket. Time is passed in, in ns."""

from __future__ import annotations

NS_PER_S = 1_000_000_000
_WEIGHT = 0.5


class RateMeter:
    """Bytes counted as they pass; `tick` once in a while turns them into a smoothed rate."""

    __slots__ = ("_last_ns", "_last_total", "bytes_per_s", "total_bytes")

    def __init__(self, now_ns: int) -> None:
        self.total_bytes = self._last_total = 0
        self.bytes_per_s = 0.0
        self._last_ns = now_ns

    def tick(self, now_ns: int) -> None:
        """Update `bytes_per_s` from what passed since the last tick."""
        elapsed_ns = now_ns - self._last_ns
        if elapsed_ns <= 0:
            return
        recent = (self.total_bytes - self._last_total) * NS_PER_S / elapsed_ns
        self.bytes_per_s += _WEIGHT * (recent - self.bytes_per_s)
        self._last_ns, self._last_total = now_ns, self.total_bytes


class TokenBucket:
    """At most `bytes_per_s`, in bursts of a tenth of a second; None is no limit."""

    def __init__(self, bytes_per_s: int | None, now_ns: int) -> None:
        self.bytes_per_s = bytes_per_s
        self._due_ns = now_ns

    def wait_s(self, now_ns: int) -> float:
        """How long until anything may be sent; 0.0 is now."""
        if self.bytes_per_s is None:
            return 0.0
        return max(0, self._due_ns - now_ns - NS_PER_S // 10) / NS_PER_S

    def spend(self, length_bytes: int, now_ns: int) -> None:
        """Count what was sent."""
        if self.bytes_per_s is not None:
            self._due_ns = max(self._due_ns, now_ns) + length_bytes * NS_PER_S // self.bytes_per_s
