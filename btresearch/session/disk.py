"""A few worker threads between the event loop and the disk: hash, write, read ahead.

hashlib, pread and pwrite release the GIL, so pieces are hashed and written while the loop moves the next
ones. A worker that is done with a system call may wait for the GIL as long as the loop is busy, so there are
two. Results come back in batches: one wake-up of the loop serves every job done since the last.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Self, TypeVar

from btresearch.errors import BtresearchError, InputError
from btresearch.peer.piece_hash import PieceHash
from btresearch.session.errors import StorageError
from btresearch.session.storage import Storage

WORKERS = 2

_Answer = TypeVar("_Answer")
Buffer = bytes | bytearray | memoryview


class Disk:
    """Jobs in, callbacks on the loop out; jobs run side by side, so none may rely on another."""

    def __init__(self, storage: Storage, *, on_error: Callable[[BtresearchError], None]) -> None:
        self.storage = storage
        self._on_error = on_error
        self._jobs: SimpleQueue[Callable[[], Callable[[], None]] | None] = SimpleQueue()
        self._done: deque[Callable[[], None]] = deque()
        self._woken = False
        self._open = 0
        self._idle: asyncio.Future[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._threads = [
            Thread(target=self._work, name="btresearch-disk", daemon=True) for _ in range(WORKERS)
        ]
        for thread in self._threads:
            thread.start()

    def verify_and_write(
        self, index: int, data: Buffer, expected: PieceHash, done: Callable[[bool], None]
    ) -> None:
        """Hash the piece; write it if it is what was `expected`; then `done(is_good)` on the loop."""

        def job() -> Callable[[], None]:
            # v1: whole pieces in one call each, so that the thread asks for the GIL three times a piece. v2 has
            # to hash 16 KiB blocks (BEP 52).
            good = expected.fits(data)
            if good:
                self.storage.write(index * self.storage.layout.piece_length_bytes, data)
            return lambda: done(good)

        self._put(job)

    def read_into(self, start: int, view: memoryview, done: Callable[[], None]) -> None:
        """Fill `view` from the piece stream, then `done()` on the loop."""

        def job() -> Callable[[], None]:
            self.storage.read_into(start, view)
            return done

        self._put(job)

    def ask(self, work: Callable[[], _Answer], done: Callable[[_Answer], None]) -> None:
        """Run `work` in a worker, then `done(what it returned)` on the loop."""

        def job() -> Callable[[], None]:
            answer = work()
            return lambda: done(answer)

        self._put(job)

    def call(self, work: Callable[[], None]) -> None:
        """Run `work` in a worker."""

        def job() -> Callable[[], None]:
            work()
            return _nothing

        self._put(job)

    async def drain(self) -> None:
        """Until every job is done and its callback has run."""
        while self._open:
            self._idle = self._idle or self._loop.create_future()
            await self._idle

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the workers after what is queued; callbacks that have not run yet never will."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()
        self._done.clear()

    def _put(self, job: Callable[[], Callable[[], None]]) -> None:
        self._open += 1
        self._jobs.put(job)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                callback = job()
            except (
                StorageError,
                InputError,
            ) as error:  # InputError: a hybrid torrent that contradicts itself
                callback = _bind(self._on_error, error)
            self._done.append(callback)
            if not self._woken:
                self._woken = True
                self._wake()

    def _wake(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._deliver)
        except RuntimeError:  # the loop is closed: nobody is left to tell
            self._done.clear()

    def _deliver(self) -> None:
        # Before the first look: a worker that appends after the last one sees that it must wake us again.
        self._woken = False
        while self._done:
            self._open -= 1
            self._done.popleft()()
        if not self._open and self._idle is not None:
            self._idle.set_result(None)
            self._idle = None


def _nothing() -> None:
    """No callback is wanted."""


def _bind(call: Callable[[BtresearchError], None], error: BtresearchError) -> Callable[[], None]:
    return lambda: call(error)
