"""Where the files of a v2 torrent stand among its pieces, BEP 52; and whether a hybrid's two halves agree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from btresearch.peer.file_tree import Leaf, Refuse
from btresearch.peer.layout import File


def aligned(leaves: Sequence[Leaf], name: str, piece_length_bytes: int) -> Iterator[File]:
    """Files that each begin with a piece of their own, in the order of the tree.

    Paths begin with the torrent's name, as v1's do; a lone file of that very name is the torrent itself.
    """
    single = len(leaves) == 1 and leaves[0].path == (name,)
    offset_bytes = 0
    for leaf in leaves:
        path = leaf.path if single else (name, *leaf.path)
        yield File(path, leaf.length_bytes, offset_bytes, root=leaf.root)
        offset_bytes += -(-leaf.length_bytes // piece_length_bytes) * piece_length_bytes


def joined(v1: Sequence[File], v2: Sequence[File], piece_length_bytes: int, refuse: Refuse) -> Iterator[File]:
    """The files of v1, padding included, with the roots of v2. Raises InputError where the two differ."""
    rest = iter(v2)
    for file in v1:
        if file.padding:
            yield file
            continue
        twin = next(rest, None)
        if twin is None or (twin.path, twin.length_bytes) != (file.path, file.length_bytes):
            raise refuse(f"the v1 files in the same order; the first that differs is {_shown(twin or file)}")
        if file.length_bytes and twin.offset_bytes != file.offset_bytes:
            raise refuse(f"padding that has {_shown(file)} begin at byte {twin.offset_bytes}, as in v2")
        yield replace(file, root=twin.root)
    if (twin := next(rest, None)) is not None:
        raise refuse(f"the v1 files, without {_shown(twin)}")
    if _pieces(v1, piece_length_bytes) != _pieces(v2, piece_length_bytes):
        raise refuse("as many pieces as v1 has: its padding goes beyond the last one")


def _pieces(files: Sequence[File], piece_length_bytes: int) -> int:
    end = max((file.offset_bytes + file.length_bytes for file in files if file.length_bytes), default=0)
    return -(-end // piece_length_bytes)


def _shown(file: File) -> str:
    return f"{'/'.join(file.path)!r:.80}"
