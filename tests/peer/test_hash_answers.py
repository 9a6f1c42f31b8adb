"""Hash requests and their answers: one end asks as a magnet link has to, the other answers from its layers."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.errors import InputError
from btresearch.peer import RemoteProtocolError, Torrent, merkle
from btresearch.peer.authoring import FileHashes
from btresearch.peer.hash_answers import HashAnswers
from btresearch.peer.hashes import MAX_HASHES, Hashes, HashRange
from btresearch.peer.layers_fetch import PATIENCE_NS, PAUSE_NS, PIPELINE, LayersFetch
from btresearch.peer.merkle import LEAF_BYTES, proven_root

PIECE = 4 * LEAF_BYTES
RNG = random.Random(7)


def made(*sizes: int, piece: int = PIECE) -> tuple[Torrent, bytes]:
    """A v2 torrent of files of these sizes, and its piece space."""
    files, hashes, space = [], [], b""
    for number, size in enumerate(sizes):
        content = RNG.randbytes(size)
        files.append(((f"{number:03}",), size))
        hashes.append(FileHashes.of(merkle.leaf_hashes(content), piece))
        space += content + bytes(-size % piece)
    return Torrent.create("t", files, b"", piece_length_bytes=piece, hashes=hashes), space


def answers_of(torrent: Torrent) -> HashAnswers:
    return HashAnswers(torrent.files, torrent.piece_layers, torrent.piece_length_bytes)


def answer(answers: HashAnswers, wanted: HashRange, space: bytes) -> Hashes | None:
    if not answers.judge(wanted):
        return None
    found = answers.from_layers(wanted)
    region = answers.region(wanted) if found is None else None
    if region is None:
        return found
    return answers.from_content(wanted, region, lambda start, length: space[start : start + length])


def bare(torrent: Torrent) -> Torrent:
    return Torrent.from_info(torrent.info_bytes)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 12 * PIECE), min_size=1, max_size=4).filter(any))
def test_layers_come_over_as_they_are(sizes: list[int]) -> None:
    torrent, _ = made(*sizes)
    fetch, answers = LayersFetch(bare(torrent).missing_layers, PIECE), answers_of(torrent)
    fetch.add_peer("seed")
    while wanted := fetch.requests("seed", 0):
        for each in wanted:
            found = answers.from_layers(each) if answers.judge(each) else None
            assert found is not None
            fetch.received("seed", found)
    assert fetch.complete
    assert bare(torrent).with_layers(fetch.layers) == torrent


def test_a_layer_of_several_requests() -> None:
    layer = [bytes([number % 251]) * 32 for number in range(1300)]
    tree = merkle.Tree(layer, level=0)
    torrent, _ = made(PIECE)
    file = torrent.files[0].__class__(("f",), 1300 * LEAF_BYTES - 5, 0, root=tree.root)
    fetch = LayersFetch([file], LEAF_BYTES)
    answers = HashAnswers([file], {tree.root: b"".join(layer)}, LEAF_BYTES)
    fetch.add_peer("p")
    asked = fetch.requests("p", 0)
    assert [(each.index, each.length) for each in asked] == [(0, 512), (512, 512), (1024, 512)]
    for each in asked:
        found = answers.from_layers(each)
        assert found is not None
        assert len(found.hashes) == 512 + each.uncle_count
        fetch.received("p", found)
    assert fetch.layers == {tree.root: b"".join(layer)}


@settings(deadline=None, max_examples=60)
@given(st.integers(LEAF_BYTES + 1, 40 * LEAF_BYTES), st.data())
def test_leaf_hashes_are_proven_to_the_root(size: int, data: st.DataObject) -> None:
    torrent, space = made(size)
    root = torrent.files[0].root
    assert root is not None
    leaves = merkle.leaf_hashes(space[:size])
    depth = merkle.depth_of(len(leaves))
    if size > PIECE:
        depth = 2 + merkle.depth_of(torrent.piece_count)
    height = data.draw(st.integers(0, depth))
    length = 1 << height
    index = data.draw(st.integers(0, (len(leaves) - 1) // length)) * length
    found = answer(answers_of(torrent), HashRange(root, 0, index, length, max(0, depth - 1)), space)
    assert found is not None
    real = leaves[index : index + length]
    assert list(found.hashes[: len(real)]) == real
    hashes, uncles = found.hashes[:length], found.hashes[length:]
    assert proven_root(hashes, uncles, level=0, index=index) == root


def test_an_answer_that_is_wrong_anywhere_is_refused() -> None:
    torrent, _ = made(20 * PIECE)
    answers = answers_of(torrent)
    for at in (0, 7, 19):
        fetch = LayersFetch(bare(torrent).missing_layers, PIECE)
        fetch.add_peer("liar")
        (wanted,) = fetch.requests("liar", 0)
        found = answers.from_layers(wanted)
        assert found is not None
        hashes = list(found.hashes)
        hashes[at] = bytes(32)
        with pytest.raises(RemoteProtocolError, match="pieces root"):
            fetch.received("liar", Hashes(wanted, tuple(hashes)))
        fetch.add_peer("honest")
        assert fetch.requests("honest", 0) == [wanted]
        fetch.received("honest", found)
        assert fetch.complete


def test_unasked_answers_and_rejects_are_refused() -> None:
    torrent, _ = made(4 * PIECE)
    fetch = LayersFetch(bare(torrent).missing_layers, PIECE)
    fetch.add_peer("p")
    root = torrent.files[0].root or b""
    stray = HashRange(root, 2, 0, 2, 1)
    with pytest.raises(RemoteProtocolError, match="not asked for"):
        fetch.received("p", Hashes(stray, (bytes(32),) * 3))
    with pytest.raises(RemoteProtocolError, match="without a request"):
        fetch.rejected("p", stray, 0)


def test_a_silent_peer_loses_its_share_and_may_still_be_late() -> None:
    torrent, _ = made(*[2 * PIECE] * (PIPELINE + 2))
    fetch, answers = LayersFetch(bare(torrent).missing_layers, PIECE), answers_of(torrent)
    fetch.add_peer("slow")
    asked = fetch.requests("slow", 0)
    assert len(asked) == PIPELINE
    assert fetch.requests("slow", PATIENCE_NS) == []
    fetch.add_peer("quick")
    for _ in range(3):
        for each in fetch.requests("quick", PATIENCE_NS):
            found = answers.from_layers(each)
            assert found is not None
            fetch.received("quick", found)
    assert fetch.complete
    late = answers.from_layers(asked[0])
    assert late is not None
    fetch.received("slow", late)


def test_a_peer_that_refuses_is_left_alone_for_a_while() -> None:
    torrent, _ = made(2 * PIECE)
    fetch = LayersFetch(bare(torrent).missing_layers, PIECE)
    fetch.add_peer("p")
    (wanted,) = fetch.requests("p", 0)
    fetch.rejected("p", wanted, 0)
    assert fetch.requests("p", PAUSE_NS - 1) == []
    assert fetch.requests("p", PAUSE_NS) == [wanted]
    fetch.remove_peer("p")
    fetch.add_peer("q")
    assert fetch.requests("q", 0) == [wanted]


ROOT = made(8 * PIECE)[0]


@pytest.mark.parametrize(
    ("base", "index", "length", "proof_layers"),
    [
        (2, 0, 0, 0),  # none
        (2, 0, MAX_HASHES + 1, 0),
        (2, 0, 16, 0),  # more than the level has
        (2, 8, 2, 0),  # beyond its end
        (2, 1, 2, 0),  # not aligned
        (2, 0, 2, 3),  # more layers than there are
        (1, 0, 2, 0),  # neither leaves nor pieces
        (6, 0, 1, 0),  # above the root
        (2**32 - 1, 2**32 - 1, 2**32 - 1, 2**32 - 1),
    ],
)
def test_senseless_requests_are_not_answered(base: int, index: int, length: int, proof_layers: int) -> None:
    root = ROOT.files[0].root or b""
    assert not answers_of(ROOT).judge(HashRange(root, base, index, length, proof_layers))
    assert not answers_of(ROOT).judge(HashRange(bytes(32), 2, 0, 2, 2))
    assert answers_of(ROOT).judge(HashRange(root, 2, 0, 2, 2))


def test_a_file_of_one_block_has_no_tree_to_ask_about() -> None:
    torrent, _ = made(5)
    assert not answers_of(torrent).judge(HashRange(torrent.files[0].root or b"", 0, 0, 1, 0))


def test_too_many_leaves_are_not_read() -> None:
    torrent, _ = made(2048 * LEAF_BYTES, piece=LEAF_BYTES * 2)
    answers = answers_of(torrent)
    wanted = HashRange(torrent.files[0].root or b"", 0, 0, 1024, 0)
    assert answers.judge(wanted)
    assert answers.region(wanted) is None


def test_layers_that_do_not_fit_are_refused() -> None:
    torrent, _ = made(4 * PIECE)
    ((root, layer),) = torrent.piece_layers.items()
    for wrong in (layer[:-32], layer + bytes(32), bytes(len(layer)), b""):
        with pytest.raises(InputError, match="piece layers"):
            bare(torrent).with_layers({root: wrong})
