"""Choker: who is served, how the optimistic slot moves."""

from __future__ import annotations

from random import Random

from btresearch.peer import Candidate, Choker
from btresearch.peer.choker import OPTIMISTIC_INTERVAL_NS


def crowd(count: int) -> list[Candidate]:
    """Peer n gives n and takes count - n."""
    return [Candidate(n, True, float(n), float(count - n)) for n in range(count)]


def test_a_leech_serves_those_who_give_most() -> None:
    chosen = Choker(rng=Random(1)).decide(0, crowd(10), seeding=False)
    assert {9, 8, 7, 6} < chosen
    assert len(chosen) == 5


def test_a_seed_serves_those_who_take_most() -> None:
    chosen = Choker(rng=Random(1)).decide(0, crowd(10), seeding=True)
    assert {0, 1, 2, 3} < chosen
    assert len(chosen) == 5


def test_nobody_without_interest() -> None:
    bored = [Candidate(n, False, 9.0, 9.0) for n in range(9)]
    assert Choker(rng=Random(1)).decide(0, [*bored, *crowd(2)], seeding=False) == {0, 1}
    assert Choker(rng=Random(1)).decide(0, bored, seeding=True) == frozenset()


def test_a_snubbing_peer_only_gets_the_optimistic_slot() -> None:
    snub = Candidate("snub", True, 100.0, 0.0, snubbed=True)
    choker = Choker(rng=Random(1), slots=2)
    assert choker.decide(0, [snub, *crowd(2)], seeding=False) == {0, 1, "snub"}
    assert "snub" in choker.decide(0, [snub], seeding=False)


def test_the_optimistic_slot_moves_every_30_s_and_not_before() -> None:
    choker, peers = Choker(rng=Random(1)), crowd(20)
    regular = {16, 17, 18, 19}
    seen = set()
    for turn in range(40):
        now_ns = turn * OPTIMISTIC_INTERVAL_NS
        [chosen] = choker.decide(now_ns, peers, seeding=False) - regular
        assert choker.decide(now_ns + OPTIMISTIC_INTERVAL_NS - 1, peers, seeding=False) - regular == {chosen}
        [after] = choker.decide(now_ns + OPTIMISTIC_INTERVAL_NS, peers, seeding=False) - regular
        assert after != chosen
        seen.add(chosen)
    assert len(seen) > 8, "everybody gets a chance"


def test_an_optimistic_peer_that_leaves_is_replaced_at_once() -> None:
    choker, peers = Choker(rng=Random(1)), crowd(6)
    [chosen] = choker.decide(0, peers, seeding=False) - {5, 4, 3, 2}
    rest = [peer for peer in peers if peer.peer != chosen]
    assert len(choker.decide(1, rest, seeding=False)) == 5


def test_same_inputs_same_choice() -> None:
    first, second = (Choker(rng=Random(5)) for _ in range(2))
    for now_ns in range(0, 10**12, 10**10):
        assert first.decide(now_ns, crowd(9), seeding=False) == second.decide(now_ns, crowd(9), seeding=False)
