"""Opening files below one folder and nowhere else.

Every file is opened relative to a directory descriptor, component by component. A writer refuses symbolic
links (O_NOFOLLOW) and everything that is no regular file, so a torrent can't be aimed outside its folder.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from btresearch.session.errors import StorageError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def explain(error: OSError, what: str) -> StorageError:
    """The system's refusal as one line for a person."""
    if error.errno in _FULL:
        return StorageError(
            f"{what}: disk full ({error.strerror}); free some space and start again to resume"
        )
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return StorageError(f"{what}: refused, a symbolic link or a file stands where a folder must be")
    return StorageError(f"{what}: {error.strerror}")


class Folder:
    """Opens files below one root, by descriptor; `writable` also creates them and refuses links."""

    def __init__(self, root: Path, *, writable: bool) -> None:
        self.root, self.writable = root, writable
        # A seeder's own content may hold links (what it serves is checked by hash); a writer's may not.
        self._nofollow = os.O_NOFOLLOW if writable else 0
        try:
            if writable:
                root.mkdir(parents=True, exist_ok=True)
            self._root_fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise explain(error, str(root)) from error

    def close(self) -> None:
        """Let go of the root's descriptor."""
        os.close(self._root_fd)

    def free_bytes(self) -> int | None:
        """Room that this user has on the file system; None where it doesn't say. Raises StorageError."""
        try:
            state = os.fstatvfs(self._root_fd)
        except OSError as error:
            raise explain(error, str(self.root)) from error
        return state.f_bavail * state.f_frsize if state.f_blocks else None

    def open(self, parts: Sequence[str]) -> int:
        """Descriptor of the regular file at `parts`.

        Raises:
            StorageError: a link, a special file, or whatever the system says.
        """
        what = str(self.root.joinpath(*parts))
        try:
            return self._open_below(parts, what)
        except OSError as error:
            raise explain(error, what) from error

    def _open_below(self, parts: Sequence[str], what: str) -> int:
        folder = os.dup(self._root_fd)
        try:
            for part in parts[:-1]:
                folder, parent = self._descend(folder, part), folder
                os.close(parent)
            return self._open_regular(folder, parts[-1], what)
        finally:
            os.close(folder)

    def _descend(self, folder: int, part: str) -> int:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | self._nofollow
        try:
            return os.open(part, flags, dir_fd=folder)
        except FileNotFoundError:
            if not self.writable:
                raise
            os.mkdir(part, dir_fd=folder)
            return os.open(part, flags, dir_fd=folder)

    def _open_regular(self, folder: int, name: str, what: str) -> int:
        # O_NONBLOCK: a FIFO in the way must not hang the open.
        mode = os.O_RDWR | os.O_CREAT if self.writable else os.O_RDONLY
        fd = os.open(name, mode | os.O_CLOEXEC | os.O_NONBLOCK | self._nofollow, 0o666, dir_fd=folder)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise StorageError(f"{what}: refused, it is no regular file")
        return fd
