"""Merkle trees of BEP 52: against a plain recursive reading of its text, and proofs that no wrong hash passes."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.peer import merkle
from btresearch.peer.merkle import LEAF_BYTES, Tree


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def plain_root(row: list[bytes]) -> bytes:
    """The row is filled up with zero hashes to a power of two, then joined in pairs."""
    while len(row) & (len(row) - 1):
        row = [*row, bytes(32)]
    if len(row) == 1:
        return row[0]
    return plain_root([sha(row[at] + row[at + 1]) for at in range(0, len(row), 2)])


def hashes(count: int) -> list[bytes]:
    return [sha(number.to_bytes(4, "big")) for number in range(count)]


def test_leaves_are_blocks_and_the_last_is_short() -> None:
    data = bytes(range(256)) * 64 + b"end"
    assert merkle.leaf_hashes(data) == [sha(data[:LEAF_BYTES]), sha(b"end")]
    assert merkle.leaf_hashes(b"") == []


def test_pads_are_trees_of_zeros() -> None:
    assert merkle.pad(0) == bytes(32)
    assert merkle.pad(1) == sha(bytes(64))
    assert merkle.pad(5) == plain_root([bytes(32)] * 32)


@pytest.mark.parametrize(("count", "depth"), [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (512, 9), (513, 10)])
def test_depth(count: int, depth: int) -> None:
    assert merkle.depth_of(count) == depth


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 70))
def test_root_is_what_the_text_says(count: int) -> None:
    row = hashes(count)
    assert merkle.root_of(row, level=0, depth=merkle.depth_of(count)) == plain_root(row)
    assert Tree(row, level=0).root == plain_root(row)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 40), st.integers(0, 4))
def test_a_tree_from_a_higher_row_has_the_same_root(count: int, level: int) -> None:
    leaves = hashes(count)
    width = 1 << level
    row = [merkle.root_of(leaves[at : at + width], level=0, depth=level) for at in range(0, count, width)]
    wider = [*leaves, *[bytes(32)] * (len(row) * width - count)]
    assert Tree(row, level=level).root == plain_root(wider)


@st.composite
def runs(draw: st.DrawFn) -> tuple[Tree, int, int]:
    """A tree of more than one hash, and an aligned run in it."""
    tree = Tree(hashes(draw(st.integers(2, 70))), level=draw(st.integers(0, 3)))
    height = draw(st.integers(0, tree.depth))
    place = draw(st.integers(0, (1 << (tree.depth - height)) - 1))
    return tree, place << height, 1 << height


@settings(deadline=None, max_examples=100)
@given(runs())
def test_every_run_is_proven_by_its_uncles(run: tuple[Tree, int, int]) -> None:
    tree, index, length = run
    part = tree.run(tree.level, index, length)
    uncles = tree.uncles(tree.level, index, length, tree.depth - 1)
    assert len(uncles) == tree.depth - merkle.depth_of(length)
    assert merkle.proven_root(part, uncles, level=tree.level, index=index) == tree.root


@settings(deadline=None, max_examples=100)
@given(runs(), st.data())
def test_any_wrong_bit_anywhere_is_noticed(run: tuple[Tree, int, int], data: st.DataObject) -> None:
    tree, index, length = run
    proof = tree.run(tree.level, index, length) + tree.uncles(tree.level, index, length, tree.depth - 1)
    at, bit = data.draw(st.integers(0, len(proof) - 1)), data.draw(st.integers(0, 255))
    proof[at] = (int.from_bytes(proof[at], "big") ^ (1 << bit)).to_bytes(32, "big")
    root = merkle.proven_root(proof[:length], proof[length:], level=tree.level, index=index)
    assert root != tree.root


def test_below_the_row_there_is_nothing() -> None:
    with pytest.raises(IndexError):
        Tree(hashes(4), level=2).run(1, 0, 2)
