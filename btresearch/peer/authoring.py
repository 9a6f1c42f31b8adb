"""What goes into the info dictionary of a new torrent, BEP 3, 47 and 52."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from btresearch.peer import merkle
from btresearch.peer.bencode import Encodable
from btresearch.peer.file_tree import Leaf, write_tree
from btresearch.peer.layers import layer_root, piece_level

Entry = tuple[Sequence[str], int]
"""A file: its path below the torrent's name, none for the torrent itself; its length in bytes."""


@dataclass(frozen=True, slots=True)
class FileHashes:
    """A file's pieces root and piece layer (BEP 52): no root if it is empty, no layer if it is one piece."""

    root: bytes | None
    layer: bytes = b""

    @classmethod
    def of(cls, leaves: Sequence[bytes], piece_length_bytes: int) -> FileHashes:
        """From the hashes of all its blocks."""
        if not leaves:
            return cls(None)
        level = piece_level(piece_length_bytes)
        if len(leaves) <= 1 << level:
            return cls(merkle.root_of(leaves, level=0, depth=merkle.depth_of(len(leaves))))
        layer = [
            merkle.root_of(leaves[at : at + (1 << level)], level=0, depth=level)
            for at in range(0, len(leaves), 1 << level)
        ]
        return cls(layer_root(layer, piece_length_bytes), b"".join(layer))


def padding_bytes(length_bytes: int, piece_length_bytes: int) -> int:
    """What fills up the last piece of a file in a hybrid torrent."""
    return -length_bytes % piece_length_bytes


def v1_fields(files: Sequence[Entry], pieces: bytes, pad_to_bytes: int | None) -> dict[bytes, Encodable]:
    """BEP 3's half. `pad_to_bytes`: the piece length, if every file is to end with a piece (BEP 47)."""
    if len(files) == 1 and not files[0][0]:
        return {b"pieces": pieces, b"length": files[0][1]}
    if len(files) == 1:
        pad_to_bytes = None  # nothing has to be aligned to it
    return {b"pieces": pieces, b"files": list(_padded(files, pad_to_bytes))}


def v2_fields(name: str, files: Sequence[Entry], hashes: Sequence[FileHashes]) -> dict[bytes, Encodable]:
    """BEP 52's half; a single file's path in the tree is the torrent's name."""
    pairs = zip(files, hashes, strict=True)
    leaves = [Leaf(tuple(parts) or (name,), length, file.root) for (parts, length), file in pairs]
    return {b"meta version": 2, b"file tree": write_tree(leaves)}


def _padded(files: Sequence[Entry], pad_to_bytes: int | None) -> Iterator[dict[bytes, Encodable]]:
    for parts, length in files:
        yield {b"length": length, b"path": list(parts)}
        if pad_to_bytes is not None and (missing := padding_bytes(length, pad_to_bytes)):
            yield {b"attr": b"p", b"length": missing, b"path": [".pad", str(missing)]}
