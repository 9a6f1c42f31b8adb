"""How many requests to keep open at one peer: slow start, then what its rate can fill."""

from __future__ import annotations

from btresearch.peer.layout import BLOCK_BYTES

START_DEPTH = 8
MIN_DEPTH = 4
MAX_DEPTH = 500
"""8 MiB in flight; what clients accept by default (reqq) is between 250 and 2000."""
EVALUATE_NS = 250_000_000
GROWTH = 1.1
"""Slow start goes on while one period brings this much more than the one before."""
QUEUE_NS = 2_000_000_000
"""After slow start: requests for this long at the present rate, so that no round trip leaves a gap."""
SNUB_NS = 60_000_000_000
"""BEP 3: no block for over a minute means snubbed."""


class Requester:
    """Pipeline depth of one peer. Times are integer ns of any steady clock.

    In slow start every block that comes raises the depth by one, so that it doubles each round trip; when
    that makes the peer no faster, the depth follows the rate.
    """

    def __init__(self, *, now_ns: int, limit: int = MAX_DEPTH) -> None:
        self.depth = min(START_DEPTH, limit)
        self.open = 0
        self._limit = max(1, limit)
        self._slow_start = True
        self._evaluated_ns = self._heard_ns = now_ns
        self._period_bytes = 0
        self._best_bytes = 0

    def sent(self, now_ns: int, count: int = 1) -> None:
        """`count` requests went out."""
        if not self.open:
            self._heard_ns = now_ns  # the minute until "snubbed" begins with the first open request
        self.open += count

    def received(self, now_ns: int, length_bytes: int, count: int = 1) -> None:
        """`count` blocks came, of `length_bytes` together."""
        self.open = max(0, self.open - count)
        self._heard_ns = now_ns
        self._period_bytes += length_bytes
        if self._slow_start:
            self.depth = min(self._limit, self.depth + count)
        if now_ns - self._evaluated_ns >= EVALUATE_NS:
            self._evaluate(now_ns)

    def dropped(self, count: int = 1) -> None:
        """`count` requests will not be answered, or were taken back."""
        self.open = max(0, self.open - count)

    def limit_to(self, request_queue: int) -> None:
        """The peer's own bound (reqq of its extension handshake)."""
        self._limit = max(1, min(self._limit, request_queue))
        self.depth = min(self.depth, self._limit)

    def room(self) -> int:
        """How many more requests may go out now."""
        return max(0, self.depth - self.open)

    def snubbed(self, now_ns: int) -> bool:
        """Whether requests are open and nothing has come for a minute."""
        return self.open > 0 and now_ns - self._heard_ns >= SNUB_NS

    def _evaluate(self, now_ns: int) -> None:
        elapsed_ns = now_ns - self._evaluated_ns
        period_bytes = self._period_bytes * EVALUATE_NS // elapsed_ns
        if self._slow_start and period_bytes < self._best_bytes * GROWTH:
            self._slow_start = False
        if not self._slow_start:
            fill = period_bytes * QUEUE_NS // (EVALUATE_NS * BLOCK_BYTES)
            self.depth = max(min(MIN_DEPTH, self._limit), min(self._limit, fill))
        self._best_bytes = max(self._best_bytes, period_bytes)
        self._period_bytes, self._evaluated_ns = 0, now_ns
