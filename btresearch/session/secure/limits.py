"""How often one name or address may fail before it is kept waiting. Bounded memory, time passed in."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable
from dataclasses import dataclass, field

MAX_NAMES = 20_000


@dataclass
class Failures:
    """At most `count` failures a name in `per_s` seconds; the names least lately seen are forgotten first."""

    count: int
    per_s: float
    _seen: OrderedDict[Hashable, deque[float]] = field(default_factory=OrderedDict, repr=False)

    def add(self, name: Hashable, now_s: float) -> None:
        """Count one failure."""
        times = self._seen.setdefault(name, deque(maxlen=self.count))
        times.append(now_s)
        self._seen.move_to_end(name)
        if len(self._seen) > MAX_NAMES:
            self._seen.popitem(last=False)

    def forgive(self, name: Hashable) -> None:
        """Take back the latest failure: it was none."""
        if times := self._seen.get(name):
            times.pop()

    def wait_s(self, name: Hashable, now_s: float) -> int:
        """Whole seconds until the next try is heard; 0: now."""
        times = self._seen.get(name)
        if times is None or len(times) < self.count:
            return 0
        left_s = times[0] + self.per_s - now_s
        return max(0, -int(-left_s // 1))
