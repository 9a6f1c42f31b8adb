"""The chance that a decision needs, passed in so that a decision can be repeated."""

from __future__ import annotations

from typing import Protocol


class Rng(Protocol):
    """Any source of numbers with randrange; random.Random is one."""

    def randrange(self, stop: int, /) -> int:
        """A number from 0 to stop - 1."""
        ...
