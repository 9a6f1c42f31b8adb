"""Piece layers, BEP 52: for each file over one piece, the row of its tree that has one hash a piece."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence

from btresearch.peer import merkle
from btresearch.peer.bencode import Value
from btresearch.peer.file_tree import Refuse
from btresearch.peer.info import HASH_BYTES as SHA1_BYTES
from btresearch.peer.layout import BLOCK_BYTES, File
from btresearch.peer.merkle import HASH_BYTES
from btresearch.peer.piece_hash import PieceHash


def piece_level(piece_length_bytes: int) -> int:
    """Levels from a block's hash up to a piece's."""
    return merkle.depth_of(piece_length_bytes // BLOCK_BYTES)


def layered(files: Sequence[File], piece_length_bytes: int) -> Iterator[File]:
    """Those files that have a piece layer."""
    return (file for file in files if file.root is not None and file.length_bytes > piece_length_bytes)


def layer_root(layer: Sequence[bytes], piece_length_bytes: int) -> bytes:
    """The pieces root of the file that has this piece layer."""
    return merkle.root_of(layer, level=piece_level(piece_length_bytes), depth=merkle.depth_of(len(layer)))


def read_layers(
    value: Value | None, files: Sequence[File], piece_length_bytes: int, refuse: Refuse
) -> dict[bytes, bytes]:
    """The root dictionary's `piece layers`: root -> hashes, all there and all right. Raises InputError."""
    wanted = {file.root: file for file in layered(files, piece_length_bytes)}
    if value is None and not wanted:
        return {}
    if not isinstance(value, dict):
        raise refuse("a dictionary of piece layers, without which no piece can be verified")
    layers: dict[bytes, bytes] = {}
    for file in layered(files, piece_length_bytes):
        if file.root is not None:
            layers[file.root] = _judged(value.get(file.root), file, piece_length_bytes, refuse)
    if strange := value.keys() - layers.keys():
        raise refuse(f"layers of the torrent's own files, not of {min(strange).hex()[:64]}")
    return layers


def _judged(layer: Value | None, file: File, piece_length_bytes: int, refuse: Refuse) -> bytes:
    shown = f"{'/'.join(file.path)!r:.80}"
    count = -(-file.length_bytes // piece_length_bytes)
    if not isinstance(layer, bytes) or len(layer) != count * HASH_BYTES:
        found = f"{len(layer)} bytes" if isinstance(layer, bytes) else "none"
        raise refuse(f"{count} hashes of {HASH_BYTES} bytes for {shown}, not {found}")
    if layer_root(merkle.split(layer), piece_length_bytes) != file.root:
        raise refuse(f"hashes for {shown} whose Merkle root is its pieces root")
    return layer


class PieceHashes:
    """What each piece must hash to, from SHA-1 hashes, roots and piece layers, as far as they are there."""

    def __init__(
        self, sha1s: bytes, files: Sequence[File], layers: Mapping[bytes, bytes], piece_length_bytes: int
    ) -> None:
        self._sha1s, self._layers, self._piece_length_bytes = sha1s, layers, piece_length_bytes
        self._files = [file for file in files if file.root is not None]
        self._starts = [file.offset_bytes // piece_length_bytes for file in self._files]

    def of(self, index: int) -> PieceHash:
        """That of piece `index`, which the caller knows to be inside the torrent."""
        sha1 = self._sha1s[index * SHA1_BYTES : (index + 1) * SHA1_BYTES] or None
        if not self._files:
            return PieceHash(sha1)
        number = bisect_right(self._starts, index) - 1
        file, place = self._files[number], index - self._starts[number]
        data_bytes = min(self._piece_length_bytes, file.length_bytes - place * self._piece_length_bytes)
        if file.length_bytes <= self._piece_length_bytes:
            # BEP 52: the tree of a small file is no wider than its own blocks need
            return PieceHash(sha1, file.root, data_bytes, merkle.depth_of(-(-data_bytes // BLOCK_BYTES)))
        layer = self._layers.get(file.root or b"", b"")
        root = layer[place * HASH_BYTES : (place + 1) * HASH_BYTES] or None
        return PieceHash(sha1, root, data_bytes, piece_level(self._piece_length_bytes))
