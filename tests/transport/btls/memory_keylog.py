"""A key log in anonymous memory, as the runtime gives it to the utls engine."""

from __future__ import annotations

import os


class MemoryKeyLog:
    def __init__(self) -> None:
        self._fd = os.memfd_create("keylog", os.MFD_CLOEXEC)
        self.path = f"/proc/self/fd/{self._fd}"

    def drain(self) -> bytes:
        size = os.fstat(self._fd).st_size
        logged = os.pread(self._fd, size, 0)
        os.ftruncate(self._fd, 0)
        return logged

    def close(self) -> None:
        os.close(self._fd)
