"""A request to stop that a signal handler or another thread may make at any moment."""

from __future__ import annotations

import os
import select
from typing import Protocol


class Pollable(Protocol):
    """What poll can wait for."""

    def fileno(self) -> int:
        """Return the descriptor."""
        ...


class StopRequest:
    """An eventfd: unlike threading.Event it can't deadlock when a signal handler sets it during a wait."""

    def __init__(self) -> None:
        self._descriptor = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def make(self) -> None:
        """Request the stop."""
        os.eventfd_write(self._descriptor, 1)

    def wait(self, timeout_ms: int, *others: Pollable) -> bool:
        """Wait for the request, input on one of `others`, or the time; return whether the request was made."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        for other in others:
            poll.register(other, select.POLLIN)
        return any(descriptor == self._descriptor for descriptor, _ in poll.poll(timeout_ms))

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._descriptor)
