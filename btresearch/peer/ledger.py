"""Own requests: which wait for an answer, and which were taken back but may be answered all the same."""

from __future__ import annotations

from btresearch.peer.layout import Block

MAX_LATE = 2000
"""Requests taken back whose answer may still be on its way; the oldest are forgotten first."""


class Ledger:
    """Tells an answer that was asked for from one that nobody wanted.

    A request that was cancelled or dropped may have been answered before the peer knew: such a late
    answer is legal once.
    """

    def __init__(self) -> None:
        self.waiting: dict[Block, None] = {}
        self._late: dict[Block, None] = {}

    def add(self, block: Block) -> None:
        """A request goes out."""
        self.waiting[block] = None

    def take_back(self, block: Block) -> bool:
        """No answer is wanted any more; False if none was."""
        if block not in self.waiting:
            return False
        del self.waiting[block]
        self._late[block] = None
        if len(self._late) > MAX_LATE:
            del self._late[next(iter(self._late))]
        return True

    def take_back_all(self) -> tuple[Block, ...]:
        """As take_back, for every request; which these were."""
        blocks = tuple(self.waiting)
        for block in blocks:
            self.take_back(block)
        return blocks

    def settle(self, block: Block) -> bool | None:
        """An answer came: True if it was waited for, False if it is late, None if nobody asked."""
        if block in self.waiting:
            del self.waiting[block]
            return True
        if block in self._late:
            del self._late[block]
            return False
        return None
