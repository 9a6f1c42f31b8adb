"""The info dictionary of BEP 3 and 52: every field judged, every file name safe."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from btresearch.errors import InputError, printable
from btresearch.peer import bencode, filenames
from btresearch.peer.alignment import aligned, joined
from btresearch.peer.bencode import Document, Value
from btresearch.peer.file_tree import read_tree
from btresearch.peer.layout import BLOCK_BYTES, File, Layout
from btresearch.peer.tls_info import TlsInfo

MAX_INFO_BYTES = 16 * 1024 * 1024
"""Of an info dictionary, from a file or from a peer; 800,000 pieces fit."""
MAX_PIECE_LENGTH_BYTES = 1 << 27
"""A piece is held in memory until its hash is known, one for each that is being fetched."""
MAX_TOTAL_BYTES = 1 << 50
MAX_WARNINGS = 20
HASH_BYTES = 20
MAX_PIECES = MAX_INFO_BYTES // HASH_BYTES
"""More SHA-1 hashes do not fit; a v2 dictionary does not hold its hashes and could claim any number."""


@dataclass(frozen=True, slots=True)
class Info:
    """What an info dictionary says, see Torrent. `v2` holds for BEP 52, hybrids included."""

    name: str
    piece_length_bytes: int
    pieces: bytes
    files: tuple[File, ...]
    private: bool
    tls_info: TlsInfo | None
    v2: bool
    warnings: tuple[str, ...]


def read_info(data: bytes, source: str, base: int = 0) -> Info:
    """Parse an info dictionary that begins at byte `base` of `source`. Raises InputError."""
    if len(data) > MAX_INFO_BYTES:
        raise InputError(source, f"an info dictionary of at most {MAX_INFO_BYTES} bytes", offset=base)
    return _InfoReader(data, source, base).read()


class _InfoReader:
    def __init__(self, data: bytes, source: str, base: int) -> None:
        self._data, self._source, self._base = data, source, base
        self._document: Document = bencode.read(data, source=source)
        if not isinstance(self._document.value, dict):
            raise InputError(source, "an info dictionary", offset=base)
        self._fields: dict[bytes, Value] = self._document.value
        self._symlinks: list[str] = []

    def read(self) -> Info:
        v2 = self._is_v2()
        name = self._name()
        piece_length_bytes = self._integer(b"piece length", 1, MAX_PIECE_LENGTH_BYTES)
        v1_files = tuple(self._v1_files(name)) if not v2 or b"pieces" in self._fields else ()
        files = self._v2_files(name, piece_length_bytes, v1_files) if v2 else v1_files
        self._judge_paths(files)
        return Info(
            name=name,
            piece_length_bytes=piece_length_bytes,
            pieces=self._pieces(files, piece_length_bytes) if v1_files else b"",
            files=files,
            private=self._fields.get(b"private") == 1,
            tls_info=self._tls(),
            v2=v2,
            warnings=tuple(self._warnings(files))[:MAX_WARNINGS],
        )

    def _is_v2(self) -> bool:
        """BEP 52: judge this first, so that a newer version is called that and nothing else."""
        version = self._fields.get(b"meta version")
        if version not in (None, 2):
            raise self._error(b"meta version", f"version 2, or none of BEP 3, not {version!r:.40}")
        return version == 2

    def _v2_files(self, name: str, piece_length_bytes: int, v1_files: Sequence[File]) -> tuple[File, ...]:
        if piece_length_bytes < BLOCK_BYTES or piece_length_bytes & (piece_length_bytes - 1):
            raise self._error(
                b"piece length", f"a power of two from {BLOCK_BYTES} (BEP 52), not {piece_length_bytes}"
            )

        def refuse(expected: str) -> InputError:
            return self._error(b"file tree", expected)

        leaves = read_tree(self._fields.get(b"file tree"), refuse, MAX_TOTAL_BYTES)
        self._symlinks = ["/".join(leaf.path) for leaf in leaves if leaf.symlink]
        files = tuple(aligned(leaves, name, piece_length_bytes))
        for file in files:
            if reason := filenames.unsafe_path(file.path):
                raise refuse(reason)
        if any(file.length_bytes for file in files):
            count = Layout.aligned(piece_length_bytes, files).piece_count
            if count > MAX_PIECES:
                raise refuse(f"at most {MAX_PIECES} pieces, not {count}")
        return tuple(joined(v1_files, files, piece_length_bytes, refuse)) if v1_files else files

    def _name(self) -> str:
        name = self._text(self._fields.get(b"name.utf-8", self._fields.get(b"name")), b"name")
        if reason := filenames.unsafe(name):
            raise self._error(b"name", reason)
        return name

    def _v1_files(self, name: str) -> Iterator[File]:
        if (b"files" in self._fields) == (b"length" in self._fields):
            raise self._error(b"files", "either length or files")
        if b"length" in self._fields:
            yield File((name,), self._integer(b"length", 0, MAX_TOTAL_BYTES), 0)
            return
        entries = self._fields[b"files"]
        if not isinstance(entries, list) or not entries:
            raise self._error(b"files", "a list of files")
        offset_bytes = 0
        for entry in entries:
            file = self._file(name, entry, offset_bytes)
            offset_bytes += file.length_bytes
            yield file

    def _file(self, name: str, entry: Value, offset_bytes: int) -> File:
        if not isinstance(entry, dict):
            raise self._error(b"files", "a dictionary for each file")
        length, parts = entry.get(b"length"), entry.get(b"path.utf-8", entry.get(b"path"))
        if not isinstance(length, int) or not 0 <= length <= MAX_TOTAL_BYTES:
            raise self._error(b"files", f"a file length of 0 to {MAX_TOTAL_BYTES}, not {length!r:.40}")
        if not isinstance(parts, list) or not parts:
            raise self._error(b"files", "a path of at least one part")
        path = (name, *(self._text(part, b"files") for part in parts))
        if reason := filenames.unsafe_path(path):
            raise self._error(b"files", reason)
        attributes = entry.get(b"attr")
        return File(path, length, offset_bytes, isinstance(attributes, bytes) and b"p" in attributes)

    def _judge_paths(self, files: tuple[File, ...]) -> None:
        # padding files are never stored and do repeat their names in real torrents
        if reason := filenames.collision(file.path for file in files if not file.padding):
            raise self._error(b"files", reason)
        total_bytes = sum(file.length_bytes for file in files)
        if not 0 < total_bytes <= MAX_TOTAL_BYTES:
            field = next((key for key in (b"files", b"length") if key in self._fields), b"file tree")
            raise self._error(field, f"1 to {MAX_TOTAL_BYTES} bytes of content, not {total_bytes}")

    def _pieces(self, files: tuple[File, ...], piece_length_bytes: int) -> bytes:
        pieces = self._fields.get(b"pieces")
        count = -(-sum(file.length_bytes for file in files) // piece_length_bytes)
        if not isinstance(pieces, bytes) or len(pieces) != count * HASH_BYTES:
            found = len(pieces) if isinstance(pieces, bytes) else "none"
            raise self._error(b"pieces", f"{count} hashes of {HASH_BYTES} bytes, not {found} bytes")
        return pieces

    def _warnings(self, files: tuple[File, ...]) -> Iterator[str]:
        yield from (f"{printable(path, 60)} is a symbolic link: none is made" for path in self._symlinks)
        yield from (f"key out of order at byte {self._base + at}" for at in self._document.unsorted_at[:3])
        stored = [file.path for file in files if not file.padding]
        if clash := filenames.case_collision(stored):
            yield clash
        parts = dict.fromkeys(part for path in stored for part in path)
        yield from (text for part in parts if (text := filenames.remark(part)))

    def _tls(self) -> TlsInfo | None:
        if b"tls" not in self._fields:
            return None
        return TlsInfo.parse(self._fields[b"tls"], self._raw(b"tls"), f"{self._source}: info")

    def _integer(self, key: bytes, low: int, high: int) -> int:
        value = self._fields.get(key)
        if not isinstance(value, int) or not low <= value <= high:
            raise self._error(key, f"an integer from {low} to {high}, not {value!r:.40}")
        return value

    def _text(self, value: Value | None, key: bytes) -> str:
        if not isinstance(value, bytes):
            raise self._error(key, "a string")
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise self._error(key, f"UTF-8, not {value[:40]!r}") from error

    def _raw(self, key: bytes) -> bytes:
        start, end = self._document.spans[key]
        return self._data[start:end]

    def _error(self, key: bytes, expected: str) -> InputError:
        start, _ = self._document.spans.get(key, (0, 0))
        return InputError(self._source, f"info.{key.decode()}: {expected}", offset=self._base + start)
