"""Availability against a plain count."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.peer import PieceSet
from btresearch.peer.availability import Availability

steps = st.lists(
    st.tuples(st.sampled_from(["more", "fewer", "open", "close"]), st.integers(0, 7)), max_size=60
)


@settings(deadline=None, max_examples=100)
@given(steps, st.sets(st.integers(0, 7)), st.integers(0, 1000))
def test_rarest_agrees_with_a_plain_count(steps: list[tuple[str, int]], pieces: set[int], seed: int) -> None:
    available, counts, opened = Availability(8, range(8)), [0] * 8, set(range(8))
    for step, index in steps:
        match step:
            case "more":
                available.change(index, +1)
                counts[index] += 1
            case "fewer" if counts[index]:
                available.change(index, -1)
                counts[index] -= 1
            case "open":
                available.open(index)
                opened.add(index)
            case "close":
                available.close(index)
                opened.discard(index)
    found = available.rarest(PieceSet(8, pieces), Random(seed))
    choice = pieces & opened
    assert available.open_count == len(opened)
    if not choice:
        assert found is None
    else:
        assert found in choice
        assert counts[found] == min(counts[index] for index in choice)
