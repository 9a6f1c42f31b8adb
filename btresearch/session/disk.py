"""One worker thread between the event loop and the disk: hash, write, read ahead.

hashlib, pread and pwrite release the GIL, so a piece is hashed and written while the loop moves the next
one. Results come back in batches: one wake-up of the loop serves every job done since the last.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Self

from btresearch.session.errors import StorageError
from btresearch.session.storage import Storage

Buffer = bytes | bytearray | memoryview


class Disk:
    """Jobs in, callbacks on the loop out; in order."""

    def __init__(self, storage: Storage, *, on_error: Callable[[StorageError], None]) -> None:
        self.storage = storage
        self._on_error = on_error
        self._jobs: SimpleQueue[Callable[[], Callable[[], None]] | None] = SimpleQueue()
        self._done: deque[Callable[[], None]] = deque()
        self._loop = asyncio.get_running_loop()
        self._thread = Thread(target=self._work, name="btresearch-disk", daemon=True)
        self._thread.start()

    def verify_and_write(self, index: int, data: Buffer, digest: bytes, done: Callable[[bool], None]) -> None:
        """Hash the piece; write it if its SHA-1 (BEP 3) is `digest`; then `done(is_good)` on the loop."""

        def job() -> Callable[[], None]:
            # Whole pieces in one call each: the thread asks for the GIL three times a piece, not per block.
            good = sha1(data) == digest
            if good:
                self.storage.write(index * self.storage.layout.piece_length_bytes, data)
            return lambda: done(good)

        self._jobs.put(job)

    def read(self, start: int, length: int, done: Callable[[bytes], None]) -> None:
        """Read from the piece stream, then `done(bytes)` on the loop."""

        def job() -> Callable[[], None]:
            data = self.storage.read(start, length)
            return lambda: done(data)

        self._jobs.put(job)

    def call(self, work: Callable[[], None]) -> None:
        """Run `work` in the thread, after what was put before it."""

        def job() -> Callable[[], None]:
            work()
            return _nothing

        self._jobs.put(job)

    async def drain(self) -> None:
        """Until every job put so far is done and its callback has run."""
        finished: asyncio.Future[None] = self._loop.create_future()

        def finish() -> None:
            if not finished.done():
                finished.set_result(None)

        self._jobs.put(lambda: finish)
        await finished

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the thread after what is queued; callbacks that have not run yet never will."""
        self._jobs.put(None)
        self._thread.join()
        self._done.clear()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                callback = job()
            except StorageError as error:
                callback = _bind(self._on_error, error)
            first = not self._done
            self._done.append(callback)
            if first:
                self._wake()

    def _wake(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._deliver)
        except RuntimeError:  # the loop is closed: nobody is left to tell
            self._done.clear()

    def _deliver(self) -> None:
        while self._done:
            self._done.popleft()()


def _nothing() -> None:
    """No callback is wanted."""


def _bind(call: Callable[[StorageError], None], error: StorageError) -> Callable[[], None]:
    return lambda: call(error)


def sha1(data: Buffer) -> bytes:
    """SHA-1 of a piece (BEP 3)."""
    return hashlib.sha1(data, usedforsecurity=False).digest()
