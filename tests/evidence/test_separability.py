"""The area under the curve is the textbook's, and its interval resamples sessions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.evidence.separability import Area, auc, folded


def names(count: int, size: int) -> np.ndarray:
    return np.array([f"s{k // size}" for k in range(count)], dtype=object)


@given(data=st.data(), n=st.integers(4, 40))
@settings(deadline=None, max_examples=60)
def test_it_is_the_share_of_pairs_that_the_positive_wins(data: st.DataObject, n: int) -> None:
    scores = np.array(data.draw(st.lists(st.integers(0, 5), min_size=n, max_size=n)))
    positive = np.array([True, False, *data.draw(st.lists(st.booleans(), min_size=n - 2, max_size=n - 2))])
    ours, theirs = scores[positive][:, None], scores[~positive][None]
    wanted = ((ours > theirs) + 0.5 * (ours == theirs)).mean()
    found = auc(scores, positive, names(n, 2), seed=1, draws=50)
    assert found.value == pytest.approx(wanted)
    assert 0 <= found.low <= found.high <= 1


def test_one_class_says_nothing() -> None:
    found = auc(np.arange(4), np.ones(4, bool), names(4, 1), seed=1)
    assert np.isnan(found.value)
    assert found[1:] == (0.0, 1.0)


def test_one_session_of_a_class_gives_no_interval() -> None:
    positive = np.array([True, True, False, False])
    assert auc(np.array([2, 2, 1, 1]), positive, names(4, 2), seed=1) == (1.0, 0.0, 1.0)


def test_flows_that_move_together_widen_the_interval() -> None:
    random = np.random.default_rng(1)
    positive = np.arange(400) % 200 < 100
    together = np.repeat(random.normal(size=40), 10) + positive
    alone = random.normal(size=400) + positive
    wide = auc(together, positive, names(400, 10), seed=1)
    narrow = auc(alone, positive, names(400, 10), seed=1)
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


def test_folding_turns_an_area_and_its_interval() -> None:
    assert folded(Area(0.2, 0.1, 0.4)) == pytest.approx((0.8, 0.6, 0.9))
    assert folded(Area(0.7, 0.6, 0.8)) == (0.7, 0.6, 0.8)
