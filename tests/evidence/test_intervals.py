"""Intervals against published values and their own properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.evidence.intervals import clopper_pearson, session_bootstrap


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [
        (0, 10, 0.0, 0.3085),  # 1 - 0.025 ** (1 / 10)
        (10, 10, 0.6915, 1.0),
        (5, 10, 0.1871, 0.8129),  # Clopper & Pearson's tables; also R's binom.test(5, 10)
        (1, 20, 0.00127, 0.24873),
    ],
)
def test_clopper_pearson_known_values(hits: int, n: int, low: float, high: float) -> None:
    assert clopper_pearson(hits, n) == pytest.approx((low, high), abs=1e-4)


def test_nothing_measured_says_nothing() -> None:
    assert clopper_pearson(0, 0) == (0.0, 1.0)


def test_more_hits_than_trials_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 0 <= hits <= n"):
        clopper_pearson(3, 2)


@given(n=st.integers(1, 500), data=st.data())
@settings(deadline=None, max_examples=60)
def test_interval_holds_the_rate(n: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, n))
    low, high = clopper_pearson(hits, n)
    assert 0 <= low <= hits / n <= high <= 1


def test_bootstrap_is_wider_when_sessions_disagree() -> None:
    sessions = [f"s{i // 10}" for i in range(40)]
    alike = np.array([i % 2 == 0 for i in range(40)])
    split = np.array([i < 20 for i in range(40)])
    low_a, high_a = session_bootstrap(alike, sessions, seed=1)
    low_s, high_s = session_bootstrap(split, sessions, seed=1)
    assert (low_a, high_a) == (0.5, 0.5)
    assert low_s < 0.1
    assert high_s > 0.9


def test_one_session_gives_no_interval() -> None:
    assert session_bootstrap(np.array([True, False]), ["a", "a"], seed=1) == (0.0, 1.0)
