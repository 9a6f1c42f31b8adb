"""The files of one torrent under one folder: pieces in, pieces out."""

from __future__ import annotations

import errno
import os
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock

from btresearch.peer import File, Torrent
from btresearch.peer.layout import Layout
from btresearch.session.errors import StorageError
from btresearch.session.folder import Folder, explain

# Far below the usual soft limit of 1024 descriptors, which sockets share.
MAX_OPEN_FILES = 128
STAT_BLOCK_BYTES = 512  # st_blocks counts these, whatever the file system's own are


@dataclass(frozen=True, slots=True)
class Span:
    """A run of bytes inside one file."""

    file: int
    offset: int
    length: int


class Storage:
    """Reads and writes whole pieces; safe to call from worker threads."""

    def __init__(self, files: Sequence[File], layout: Layout, root: Path, *, writable: bool) -> None:
        self.files, self.layout, self.root = tuple(files), layout, root
        self._starts = [file.offset_bytes for file in files]
        self._folder = Folder(root, writable=writable)
        self._open: OrderedDict[int, int] = OrderedDict()
        self._lock = Lock()
        # Writers of one inode would spin for it in the kernel; here they sleep.
        self._writing = Lock()
        self._closed = False
        self._evicts = len(self.files) > MAX_OPEN_FILES

    @classmethod
    def create(cls, torrent: Torrent, folder: Path) -> Storage:
        """Where a download goes: `folder`/name, created at full length. Raises StorageError."""
        storage = cls(torrent.files, torrent.layout, folder, writable=True)
        try:
            storage.allocate()
        except StorageError:
            storage.close()
            raise
        return storage

    @classmethod
    def find(cls, torrent: Torrent, path: Path) -> Storage:
        """What a seeder has: `path` is the content itself or the folder that holds it. Raises StorageError."""
        root, files = _locate(torrent, path)
        return cls(files, torrent.layout, root, writable=False)

    def allocate(self) -> None:
        """Create every file at its full length, with its blocks reserved where the system can; cut longer ones.

        Writing pieces out of order into reserved blocks takes ext4 a tenth of the time that a sparse file
        takes, and a disk that is too small is noticed now. Reserved and unwritten still counts as a hole.

        Raises:
            StorageError: the folder can't hold the torrent.
        """
        self._judge_room()
        for index, entry in self._stored():
            try:
                with self._lock:
                    _reserve(self._descriptor(index), entry.length_bytes)
            except OSError as error:
                raise explain(error, self._name(index)) from error

    def read(self, start: int, length: int) -> bytes:
        """`length` bytes from `start` of the piece stream; missing bytes read as zeros.

        Raises:
            StorageError: a file can't be read.
        """
        parts = []
        for span in self._spans(start, length):
            part = b"" if self.files[span.file].padding else self._pread(span)
            parts.append(part if len(part) == span.length else part.ljust(span.length, b"\0"))
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def read_into(self, start: int, view: memoryview) -> None:
        """As `read`, into memory that is there already.

        Raises:
            StorageError: a file can't be read.
        """
        for span in self._spans(start, len(view)):
            part, view = view[: span.length], view[span.length :]
            done = 0 if self.files[span.file].padding else self._pread_into(span, part)
            part[done:] = bytes(span.length - done)

    def write(self, start: int, data: bytes | bytearray | memoryview) -> None:
        """Put `data` at `start` of the piece stream.

        Raises:
            StorageError: disk full, or a file can't be written.
        """
        view = memoryview(data)
        with self._writing:
            for span in self._spans(start, len(view)):
                if not self.files[span.file].padding:
                    self._pwrite(span, view[: span.length])
                view = view[span.length :]

    def read_piece(self, index: int) -> bytes:
        """Piece `index`, unverified."""
        return self.read(index * self.layout.piece_length_bytes, self.layout.piece_bytes(index))

    def stamps(self) -> list[tuple[int, int]]:
        """(size, mtime ns) of every stored file; (-1, -1) where one is missing."""
        return [self._stamp(index) for index, _ in self._stored()]

    def holes(self) -> list[tuple[int, int]]:
        """(start, length) runs of the piece stream that the file system never allocated (they read as zeros)."""
        runs = []
        for index, file in self._stored():
            fd = self._borrow(index)
            try:
                found = list(_holes(fd, file.length_bytes))
            finally:
                self._give_back(fd)
            runs += [(file.offset_bytes + start, length) for start, length in found]
        return runs

    def close(self) -> None:
        """Close every descriptor; reads and writes after this raise StorageError."""
        with self._lock:
            self._closed = True
            while self._open:
                os.close(self._open.popitem()[1])
            self._folder.close()

    def _stored(self) -> Iterator[tuple[int, File]]:
        """The files that are on disk: a padding file is zeros by definition (BEP 47)."""
        return ((index, file) for index, file in enumerate(self.files) if not file.padding)

    def _judge_room(self) -> None:
        """A reservation that fails half way would leave the disk full."""
        missing = sum(self._unreserved(index, file.length_bytes) for index, file in self._stored())
        free = self._folder.free_bytes()
        if free is not None and missing > free:
            raise StorageError(
                f"{self.root}: disk full ({missing} bytes to reserve, {free} free); free some space and "
                "start again to resume"
            )

    def _unreserved(self, index: int, length: int) -> int:
        try:
            with self._lock:
                return max(0, length - os.fstat(self._descriptor(index)).st_blocks * STAT_BLOCK_BYTES)
        except OSError as error:
            raise explain(error, self._name(index)) from error

    def _spans(self, start: int, length: int) -> Iterator[Span]:
        """Cut `length` bytes from `start` of the piece stream at file borders (BEP 3: files end to end)."""
        number = bisect_right(self._starts, start) - 1
        while length > 0:
            file = self.files[number]
            offset = start - file.offset_bytes
            run = min(length, file.length_bytes - offset)
            if run > 0:
                yield Span(number, offset, run)
            start, length, number = start + run, length - run, number + 1

    def _name(self, index: int) -> str:
        return str(self.root.joinpath(*self.files[index].path))

    def _descriptor(self, index: int) -> int:
        if self._closed:
            raise StorageError(f"{self.root}: already closed")
        fd = self._open.get(index)
        if fd is None:
            if len(self._open) >= MAX_OPEN_FILES:
                os.close(self._open.popitem(last=False)[1])
            fd = self._open[index] = self._folder.open(self.files[index].path)
        else:
            self._open.move_to_end(index)
        return fd

    def _borrow(self, index: int) -> int:
        with self._lock:
            fd = self._descriptor(index)
            try:
                # A duplicate, so that eviction by another thread can't close it under a read.
                return os.dup(fd) if self._evicts else fd
            except OSError as error:
                raise explain(error, self._name(index)) from error

    def _give_back(self, fd: int) -> None:
        if self._evicts:
            os.close(fd)

    def _pread(self, span: Span) -> bytes:
        fd = self._borrow(span.file)
        try:
            return os.pread(fd, span.length, span.offset)
        except OSError as error:
            raise explain(error, self._name(span.file)) from error
        finally:
            self._give_back(fd)

    def _pread_into(self, span: Span, view: memoryview) -> int:
        fd = self._borrow(span.file)
        try:
            return os.preadv(fd, [view], span.offset)
        except OSError as error:
            raise explain(error, self._name(span.file)) from error
        finally:
            self._give_back(fd)

    def _pwrite(self, span: Span, view: memoryview) -> None:
        fd = self._borrow(span.file)
        done = 0
        try:
            while done < span.length:
                done += os.pwrite(fd, view[done:], span.offset + done)
        except OSError as error:
            raise explain(error, self._name(span.file)) from error
        finally:
            self._give_back(fd)

    def _stamp(self, index: int) -> tuple[int, int]:
        try:
            with self._lock:
                status = os.fstat(self._descriptor(index))
        except StorageError:
            return (-1, -1)
        return (status.st_size, status.st_mtime_ns)


def _reserve(fd: int, length: int) -> None:
    if os.fstat(fd).st_size > length:
        os.ftruncate(fd, length)
    if not length:
        return
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(fd, 0, length)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                raise
    if os.fstat(fd).st_size < length:
        os.ftruncate(fd, length)


def _holes(fd: int, size: int) -> Iterator[tuple[int, int]]:
    position = 0
    while position < size:
        try:
            data = min(os.lseek(fd, position, os.SEEK_DATA), size)
        except OSError:  # ENXIO: nothing but a hole up to the end of the file
            data = size
        if data > position:
            yield position, data - position
        if data < size:
            data = os.lseek(fd, data, os.SEEK_HOLE)
        position = data


def _locate(torrent: Torrent, path: Path) -> tuple[Path, list[File]]:
    """The root to open and the files' paths below it."""
    if not path.exists():
        raise StorageError(f"{path}: not found")
    if path.is_file():
        if len(torrent.files) != 1:
            raise StorageError(
                f"{path}: is a file, but {torrent.name!r} is a folder of {len(torrent.files)} files"
            )
        return path.parent, [replace(torrent.files[0], path=(path.name,))]
    single = torrent.files[0].path == (torrent.name,)
    if single or path.joinpath(torrent.name).is_dir():
        return path, list(torrent.files)
    return path, [replace(file, path=file.path[1:]) for file in torrent.files]
