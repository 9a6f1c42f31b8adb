"""Answers to hash requests, BEP 52: from piece layers, and from the blocks of verified pieces."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from btresearch.peer import merkle
from btresearch.peer.hashes import MAX_HASHES, Hashes, HashRange
from btresearch.peer.layers import piece_level
from btresearch.peer.layout import BLOCK_BYTES, File
from btresearch.peer.merkle import Tree

MAX_LEAVES = 512
"""Leaf hashes of one answer (BEP 52 recommends no more), or those of one piece where it has more."""


@dataclass(frozen=True, slots=True)
class Region:
    """The content whose blocks an answer needs: `start` and `length_bytes` in the torrent, its `pieces`.

    `index` is that of its first block in the file.
    """

    start: int
    length_bytes: int
    pieces: range
    index: int


class HashAnswers:
    """Judges requests and answers them. One for all peers: trees are made once for each file asked about."""

    def __init__(self, files: Sequence[File], layers: Mapping[bytes, bytes], piece_length_bytes: int) -> None:
        self._files = {file.root: file for file in reversed(files) if file.root is not None}
        self._layers, self._piece_length_bytes = layers, piece_length_bytes
        self._level = piece_level(piece_length_bytes)
        self._trees: dict[bytes, Tree] = {}

    def judge(self, wanted: HashRange) -> bool:
        """Whether this is a request that can be answered at all, given the content."""
        file = self._files.get(wanted.root)
        if file is None or not 0 < wanted.length <= MAX_HASHES or wanted.base not in (0, *self._upper(file)):
            return False
        rows = self._depth(file) - wanted.base
        aligned = wanted.index % (1 << merkle.depth_of(wanted.length)) == 0
        return aligned and wanted.index + wanted.length <= 1 << rows and wanted.proof_layers < rows

    def from_layers(self, wanted: HashRange) -> Hashes | None:
        """The answer to a judged request for piece hashes or what is above them; None for leaves."""
        if wanted.base < self._level or wanted.root not in self._layers:
            return None
        return _taken(self._tree(wanted.root), wanted)

    def region(self, wanted: HashRange) -> Region | None:
        """What has to be read to answer a judged request for leaves; None if that is too much."""
        if wanted.length > max(MAX_LEAVES, 1 << self._level):
            return None
        file = self._files[wanted.root]
        span = max(wanted.length, 1 << self._level)  # whole pieces: the uncles below a piece's hash are in it
        index = wanted.index // span * span
        start = index * BLOCK_BYTES
        length_bytes = min(span * BLOCK_BYTES, file.length_bytes - start)
        if length_bytes <= 0:
            return None
        first = (file.offset_bytes + start) // self._piece_length_bytes
        count = -(-length_bytes // self._piece_length_bytes)
        return Region(file.offset_bytes + start, length_bytes, range(first, first + count), index)

    def from_content(self, wanted: HashRange, region: Region, read: Callable[[int, int], bytes]) -> Hashes:
        """The answer to a judged request for leaves; `read(start, length)` gives content. Slow: not for a loop."""
        leaves = merkle.leaf_hashes(read(region.start, region.length_bytes))
        if wanted.root in self._layers:
            return self._from_both(wanted, region, leaves)
        return _taken(Tree(leaves, level=0), wanted)

    def _from_both(self, wanted: HashRange, region: Region, leaves: Sequence[bytes]) -> Hashes:
        """Uncles below the piece layer come from the pieces that were read, the rest from the layer."""
        width = 1 << self._level
        part = [*leaves, *[merkle.pad(0)] * (-len(leaves) % width)]
        local = Tree(part, level=0)
        inside = wanted.index - region.index
        own = min(wanted.proof_layers, local.depth - 1)
        hashes = local.run(0, inside, wanted.length) + local.uncles(0, inside, wanted.length, own)
        first = max(merkle.depth_of(wanted.length), local.depth)
        tree = self._tree(wanted.root)
        hashes += [
            tree.run(level, (wanted.index >> level) ^ 1, 1)[0]
            for level in range(first, wanted.proof_layers + 1)
        ]
        return Hashes(wanted, tuple(hashes))

    def _upper(self, file: File) -> range:
        """Levels of a file's tree that come from its piece layer."""
        return range(self._level, self._depth(file)) if file.root in self._layers else range(0)

    def _depth(self, file: File) -> int:
        if file.length_bytes <= self._piece_length_bytes:
            return merkle.depth_of(-(-file.length_bytes // BLOCK_BYTES))
        return self._level + merkle.depth_of(-(-file.length_bytes // self._piece_length_bytes))

    def _tree(self, root: bytes) -> Tree:
        if root not in self._trees:
            self._trees[root] = Tree(merkle.split(self._layers[root]), level=self._level)
        return self._trees[root]


def _taken(tree: Tree, wanted: HashRange) -> Hashes:
    run = tree.run(wanted.base, wanted.index, wanted.length)
    uncles = tree.uncles(wanted.base, wanted.index, wanted.length, wanted.proof_layers)
    return Hashes(wanted, (*run, *uncles))
