"""The .torrent file, BEP 3 (v1): parsed strictly, named safely, hashed from its own bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike

from btresearch.peer.layout import Layout


@dataclass(frozen=True, slots=True)
class File:
    """One file: `path` is relative and safe to join, parts without separators; bytes from `offset_bytes`."""

    path: tuple[str, ...]
    length_bytes: int
    offset_bytes: int


@dataclass(frozen=True)
class Torrent:
    """What a .torrent file says. Single-file torrents have one File whose path is (name,).

    Multi-file torrents' paths begin with the name: join `path` to the output folder and nothing else.
    """

    infohash: bytes
    name: str
    piece_length_bytes: int
    pieces: bytes = field(repr=False)
    files: tuple[File, ...]
    private: bool
    announce: tuple[tuple[str, ...], ...]
    info_bytes: bytes = field(repr=False)
    tls: Mapping[bytes, object] | None = None
    warnings: tuple[str, ...] = ()

    @property
    def total_bytes(self) -> int: ...
    @property
    def piece_count(self) -> int: ...
    @property
    def layout(self) -> Layout: ...
    def piece_hash(self, index: int) -> bytes: ...

    @classmethod
    def load(cls, source: bytes | str | PathLike[str]) -> Torrent:
        """Read a file or its bytes. Raises InputError (file, byte, what was expected)."""

    @classmethod
    def from_info(cls, info_bytes: bytes, *, announce: Sequence[Sequence[str]] = ()) -> Torrent:
        """From BEP 9 metadata."""

    @classmethod
    def create(
        cls,
        name: str,
        files: Sequence[tuple[Sequence[str], int]],
        pieces: bytes,
        *,
        piece_length_bytes: int,
        announce: Sequence[Sequence[str]] = (),
        private: bool = False,
    ) -> Torrent:
        """From hashes that the caller computed; see btresearch.session.torrent_file.create(path)."""

    def dump(self) -> bytes:
        """The .torrent file."""
