"""Picker: rarest first, started first, endgame, and the hunt for liars."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from btresearch.peer import Block, Layout, LocalProtocolError, Picker, PieceSet

LAYOUT = Layout(4 * 16384, 10 * 4 * 16384 - 5)  # ten pieces of four blocks


def picker(*, have: PieceSet | None = None, seed: int = 0, **peers: PieceSet) -> Picker:
    made = Picker(LAYOUT, rng=Random(seed), have=have)
    for peer, pieces in peers.items():
        made.add_peer(peer, pieces)
    return made


def fetch(made: Picker, peer: Hashable, index: int, numbers: range = range(4)) -> bool:
    """Deliver blocks of a piece as if `peer` had sent them; whether the piece is complete."""
    receipts = [made.received(peer, LAYOUT.block(index, number)) for number in numbers]
    return receipts[-1].piece_complete


def all_pieces() -> PieceSet:
    return PieceSet.full(10)


def test_rarest_first() -> None:
    made = picker(
        a=PieceSet(10, range(10)), b=PieceSet(10, range(5)), c=PieceSet(10, range(4)), d=PieceSet(10, [9])
    )
    # counting partial peers: 0-3 have two, 4 has one, 9 has one, 5-8 none beside the seed a
    order = [blocks[0].index for _ in range(10) if (blocks := made.pick("a", 4))]
    assert set(order[:4]) == {5, 6, 7, 8}
    assert set(order[4:6]) == {4, 9}
    assert set(order[6:]) == {0, 1, 2, 3}


def test_equals_are_chosen_by_chance() -> None:
    first = Counter(picker(seed=seed, a=all_pieces()).pick("a", 1)[0].index for seed in range(200))
    assert len(first) == 10
    assert max(first.values()) < 60


def test_started_pieces_are_finished_first() -> None:
    made = picker(a=all_pieces(), b=all_pieces())
    [first] = made.pick("a", 1)
    assert {block.index for block in made.pick("b", 3)} == {first.index}
    assert made.pick("b", 1)[0].index != first.index


def test_blocks_come_in_order_and_fill_the_count() -> None:
    made = picker(a=all_pieces())
    blocks = made.pick("a", 6)
    assert [block.begin for block in blocks] == [0, 16384, 32768, 49152, 0, 16384]
    assert len(set(blocks)) == 6


def test_only_what_the_peer_has_and_is_missing() -> None:
    made = picker(have=PieceSet(10, [1]), a=PieceSet(10, [1, 2]))
    assert {block.index for block in made.pick("a", 99)} == {2}
    assert made.pick("a", 99) == []


def test_only_some_pieces_while_choked() -> None:
    made = picker(a=PieceSet(10, [1, 2]))
    assert {block.index for block in made.pick("a", 99, only=frozenset({2, 3}))} == {2}


def test_interest_follows_haves_and_passes() -> None:
    made = picker(a=PieceSet(10))
    assert not made.interesting("a")
    assert not made.interesting("stranger")
    made.peer_has("a", 3)
    made.peer_has("a", 3)
    assert made.interesting("a")
    blocks = made.pick("a", 4)
    assert fetch(made, "a", 3)
    assert made.interesting("a"), "it counts when the hash is known"
    made.passed(3)
    assert not made.interesting("a")
    assert 3 in made.have
    assert len(blocks) == 4


def test_dropped_blocks_are_picked_again() -> None:
    made = picker(a=all_pieces(), b=all_pieces())
    blocks = made.pick("a", 4)
    made.dropped("a", blocks[2])
    made.dropped("a", blocks[2])
    assert made.pick("b", 1) == [blocks[2]]
    made.remove_peer("a")
    assert set(made.pick("b", 3)) == {blocks[0], blocks[1], blocks[3]}


def test_duplicates_and_late_blocks() -> None:
    made = picker(a=all_pieces(), b=all_pieces())
    [block] = made.pick("a", 1)
    assert made.received("a", block).new
    assert not made.received("a", block).new
    [second] = made.pick("a", 1)
    made.dropped("a", second)
    assert made.received("a", second).new, "it came late, but it came"
    other = Block((block.index + 1) % 10, 0, 16384)
    assert not made.received("a", other).new, "its piece was never started"
    assert second not in made.pick("b", 99)


def test_endgame_asks_others_and_cancels() -> None:
    made = picker(have=PieceSet(10, range(9)), a=all_pieces(), b=all_pieces())
    blocks = made.pick("a", 4)
    assert made.endgame
    assert made.pick("a", 4) == []
    assert made.pick("b", 2) == [blocks[3], blocks[2]], "what the other will send last"
    receipt = made.received("b", blocks[3])
    assert receipt.new
    assert receipt.cancel == ("a",)
    assert not made.received("a", blocks[3]).new


def test_no_endgame_while_anything_is_free() -> None:
    made = picker(a=all_pieces(), b=PieceSet(10, [0]))
    made.pick("a", 40)
    made.dropped("a", Block(5, 0, 16384))
    assert not made.endgame
    assert made.pick("b", 1) == []


def test_one_sender_of_a_wrong_piece_is_convicted() -> None:
    made = picker(a=all_pieces())
    index = made.pick("a", 4)[0].index
    assert fetch(made, "a", index)
    assert made.failed(index) == {"a"}
    assert index not in made.have
    made.remove_peer("a")
    made.add_peer("b", all_pieces())
    assert index in {block.index for block in made.pick("b", 40)}


def test_of_several_senders_the_liar_is_found() -> None:
    liar, made = "liar", picker(liar=all_pieces(), honest=all_pieces())
    made_by: dict[int, set[str]] = {}
    banned: set[Hashable] = set()
    for _ in range(400):
        if made.complete:
            break
        for peer in ("liar", "honest"):
            if peer in banned:
                continue
            for block in made.pick(peer, 1):
                made_by.setdefault(block.index, set()).add(peer)
                if made.received(peer, block).piece_complete:
                    wrong = liar in made_by.pop(block.index)
                    convicted = made.failed(block.index) if wrong else made.passed(block.index) or frozenset()
                    banned |= convicted
                    for culprit in convicted:
                        made.remove_peer(culprit)
    assert banned == {liar}
    assert made.complete


def test_a_stalled_owner_does_not_keep_its_piece() -> None:
    made = picker(have=PieceSet(10, range(9)), a=all_pieces(), b=all_pieces())
    made.pick("a", 2)
    made.pick("b", 2)
    fetch(made, "a", 9, range(2))
    assert fetch(made, "b", 9, range(2, 4))
    assert made.failed(9) == frozenset()
    blocks = made.pick("a", 4)  # both are suspects: the piece is a's alone now
    assert made.pick("b", 4) == []
    for block in blocks:
        made.dropped("a", block)
    assert len(made.pick("b", 4)) == 4


def test_a_piece_whose_only_sender_left_is_begun_anew() -> None:
    made = picker(have=PieceSet(10, range(9)), a=all_pieces(), b=all_pieces())
    made.pick("a", 2)
    made.pick("b", 2)
    fetch(made, "a", 9, range(2))
    fetch(made, "b", 9, range(2, 4))
    made.failed(9)
    first = made.pick("a", 4)[0]  # now a's alone
    made.received("a", first)
    made.remove_peer("a")
    blocks = made.pick("b", 4)
    assert len(blocks) == 4, "what a sent is asked for again"
    assert [made.received("b", block).piece_complete for block in blocks] == [False] * 3 + [True]
    assert made.failed(9) == {"b"}


def test_hash_results_need_a_complete_piece() -> None:
    made = picker(a=all_pieces())
    index = made.pick("a", 1)[0].index
    for call in (made.passed, made.failed):
        with pytest.raises(LocalProtocolError, match="not complete"):
            call(index)


def test_a_second_bitfield_replaces_the_first() -> None:
    made = picker(a=PieceSet(10, [0]))
    made.pick("a", 1)
    made.add_peer("a", PieceSet(10, [1]))
    assert {block.index for block in made.pick("a", 99)} == {1}
    made.remove_peer("a")
    made.add_peer("b", PieceSet(10, [0, 1]))
    assert len(made.pick("b", 99)) == 8


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.lists(st.sets(st.integers(0, 9)), min_size=1, max_size=5))
@example(125, [{0, 1, 2, 4, 5, 8}, {0, 5, 7}, {0, 1, 2, 3, 6}, set(), {0, 1, 2, 3, 4, 5, 6}])
def test_any_swarm_ends_with_everything_that_exists(seed: int, holdings: list[set[int]]) -> None:
    rng = Random(seed)
    made = picker(seed=seed)
    for peer, pieces in enumerate(holdings):
        made.add_peer(peer, PieceSet(10, pieces))
    asked: list[tuple[int, Block]] = []
    for _ in range(3000):
        peer = rng.randrange(len(holdings))
        asked += [(peer, block) for block in made.pick(peer, rng.randrange(4))]
        if asked:
            peer, block = asked.pop(rng.randrange(len(asked)))
            act(made, rng, peer, block)
    assert set(made.have) == set().union(*holdings)
    assert not any(made.interesting(peer) for peer in range(len(holdings)))


def act(made: Picker, rng: Random, peer: int, block: Block) -> None:
    """A block is dropped or arrives; a piece passes, or rarely fails for no one's fault."""
    if rng.random() < 0.1:
        made.dropped(peer, block)
    elif made.received(peer, block).piece_complete:
        if rng.random() < 0.05:
            made.failed(block.index)
        else:
            made.passed(block.index)
