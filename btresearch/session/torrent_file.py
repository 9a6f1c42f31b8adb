"""Torrents made from a file or folder on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import FileIO
from pathlib import Path
from typing import Literal

from btresearch.errors import InputError, printable
from btresearch.peer import Torrent, merkle
from btresearch.peer.authoring import FileHashes, padding_bytes
from btresearch.peer.tls_info import TlsInfo

READ_BYTES = 1 << 20
MIN_PIECE_BYTES = 16 * 1024
MAX_PIECE_BYTES = 16 * 1024 * 1024
TARGET_PIECES = 1500
"""Pieces that `piece_length_for` aims at: a small .torrent, and pieces soon done."""

Version = Literal[1, 2, "hybrid"]
"""BEP 3, BEP 52, or both in one torrent."""
Progress = Callable[[int, int], None]
"""Called with (bytes hashed, bytes in all)."""


def create(
    path: str | Path,
    *,
    piece_length_bytes: int | None = None,
    version: Version = 1,
    announce: Sequence[Sequence[str]] = (),
    private: bool = False,
    progress: Progress | None = None,
    tls: TlsInfo | None = None,
    secret: bytes | None = None,
) -> Torrent:
    """Hash a file, or all files below a folder in the order of their names; symbolic links are left out.

    `piece_length_bytes` is a power of two of at least 16 KiB (BEP 3 recommends one, BEP 52 demands it).
    `version` "hybrid" pads files to whole pieces, so that v1 and v2 cut them alike. `tls` and `secret` are for a
    level above Basic, see `Torrent.create`. Raises InputError for a path that holds nothing or that cannot be
    read, and for names that no .torrent may carry.
    """
    root = Path(path).absolute()
    files = _files(root)
    sizes = [file.stat().st_size for file in files]
    total_bytes = sum(sizes)
    if not total_bytes:
        raise InputError(path, "at least one byte of content")
    length = (
        piece_length_for(total_bytes) if piece_length_bytes is None else _judged(path, piece_length_bytes)
    )
    pads = version == "hybrid" and len(files) > 1
    paddings = [padding_bytes(size, length) if pads else 0 for size in sizes]
    total_bytes += sum(paddings)
    hashes: list[FileHashes] = []
    blocks = _blocks(files, sizes)
    if version != 1:
        blocks = _hashed(files, sizes, paddings, length, hashes)
    if version == 2:
        pieces = _read_through(blocks, total_bytes, progress)
    else:
        pieces = b"".join(piece_hashes(blocks, length, total_bytes=total_bytes, progress=progress))
    return Torrent.create(
        root.name,
        [(file.relative_to(root).parts, size) for file, size in zip(files, sizes, strict=True)],
        pieces,
        piece_length_bytes=length,
        announce=announce,
        private=private,
        hashes=None if version == 1 else hashes,
        tls=tls,
        secret=secret,
    )


def piece_length_for(total_bytes: int) -> int:
    """The power of two that gives about TARGET_PIECES pieces, between 16 KiB and 16 MiB."""
    length = 1 << max(0, total_bytes // TARGET_PIECES).bit_length()
    return max(MIN_PIECE_BYTES, min(MAX_PIECE_BYTES, length))


def piece_hashes(
    blocks: Iterable[memoryview],
    piece_length_bytes: int,
    *,
    total_bytes: int = 0,
    progress: Progress | None = None,
) -> Iterator[bytes]:
    """SHA-1 of each piece of the bytes that `blocks` gives, however they are cut."""
    digest, room, done = hashlib.sha1(usedforsecurity=False), piece_length_bytes, 0
    for block in blocks:
        rest = block
        while len(rest) >= room:
            digest.update(rest[:room])
            yield digest.digest()
            digest, rest, room = hashlib.sha1(usedforsecurity=False), rest[room:], piece_length_bytes
        digest.update(rest)
        room -= len(rest)
        done += len(block)
        if progress is not None:
            progress(done, total_bytes)
    if room < piece_length_bytes:
        yield digest.digest()


def _read_through(blocks: Iterable[memoryview], total_bytes: int, progress: Progress | None) -> bytes:
    """No SHA-1 hashes, for a torrent that has none; the blocks are read for what `_hashed` makes of them."""
    done = 0
    for block in blocks:
        done += len(block)
        if progress is not None:
            progress(done, total_bytes)
    return b""


def _hashed(
    files: Sequence[Path],
    sizes: Sequence[int],
    paddings: Sequence[int],
    length: int,
    hashes: list[FileHashes],
) -> Iterator[memoryview]:
    """The content of all files with zeros after each; the files' hashes go into `hashes`."""
    for path, size, padding in zip(files, sizes, paddings, strict=True):
        leaves: list[bytes] = []
        for block in _blocks([path], [size]):
            leaves += merkle.leaf_hashes(block)
            yield block
        hashes.append(FileHashes.of(leaves, length))
        if padding:
            yield memoryview(bytes(padding))


def _judged(path: str | Path, piece_length_bytes: int) -> int:
    if piece_length_bytes < MIN_PIECE_BYTES or piece_length_bytes & (piece_length_bytes - 1):
        raise InputError(path, f"a piece length that is a power of two from 16 KiB, not {piece_length_bytes}")
    return piece_length_bytes


def _files(root: Path) -> list[Path]:
    if root.is_file():
        return [root]
    if not root.is_dir():
        raise InputError(root, "a file or a folder")
    found = [path for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
    for path in found:
        if not _is_text(str(path.relative_to(root))):
            raise InputError(printable(str(path)), "a name in UTF-8, as BEP 3 has them")
    return sorted(found, key=lambda path: path.relative_to(root).parts)


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _blocks(files: Sequence[Path], sizes: Sequence[int]) -> Iterator[memoryview]:
    """The content of all files, through one buffer: use a block before asking for the next."""
    buffer = memoryview(bytearray(READ_BYTES))
    for path, size in zip(files, sizes, strict=True):
        left = size
        with _opened(path) as file:
            while left and (count := _fill(file, buffer[: min(left, READ_BYTES)])):
                left -= count
                yield buffer[:count]
        if left:
            raise InputError(path, f"{size} bytes: it shrank while it was read", offset=size - left)


def _fill(file: FileIO, buffer: memoryview) -> int:
    """As many bytes as there are, up to the buffer's end: leaf hashes need whole blocks."""
    done = 0
    while done < len(buffer) and (count := file.readinto(buffer[done:])):
        done += count
    return done


def _opened(path: Path) -> FileIO:
    try:
        return path.open("rb", buffering=0)
    except OSError as error:
        raise InputError(path, f"a readable file ({error.strerror})") from error
