"""A TLS key log that never leaves memory: utls has no exporter call, only the log (see transport.btls)."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


class MemoryKeyLog:
    """A memfd under a path that a TLS library can open; `drain` empties it.

    Where the system has no memfd, an unlinked temporary file of the same user, which /dev/fd can still name.
    """

    def __init__(self) -> None:
        if hasattr(os, "memfd_create"):
            self._fd = os.memfd_create("keylog", os.MFD_CLOEXEC)
        else:
            self._fd, name = tempfile.mkstemp()
            Path(name).unlink()

    @property
    def path(self) -> str:
        """Name under which the library opens it for appending."""
        return f"/dev/fd/{self._fd}"

    def drain(self) -> bytes:
        """All that was logged since the last call, erased from the log."""
        size = os.fstat(self._fd).st_size
        if not size:
            return b""
        data = os.pread(self._fd, size, 0)
        os.ftruncate(self._fd, 0)
        return data
