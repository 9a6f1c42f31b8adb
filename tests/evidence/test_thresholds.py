"""Thresholds come from validation scores of cover alone, and are never moved by what is tested."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.evidence import thresholds, trial
from btresearch.evidence.splits import rotation
from tests.evidence.made import Rule, corpus, sessions


@given(
    scores=st.lists(st.floats(0, 1, width=32), min_size=1, max_size=200),
    limit=st.sampled_from([0.5, 0.1, *thresholds.LIMITS]),
)
@settings(deadline=None, max_examples=100)
def test_no_more_than_the_limit_and_not_one_less(scores: list[float], limit: float) -> None:
    negatives = np.array(scores)
    threshold = thresholds.freeze(negatives, limit)
    assert (negatives >= threshold).mean() <= limit
    lower = negatives[negatives < threshold].max()
    assert (negatives >= lower).mean() > limit  # the next lower threshold would break it


def test_a_rule_that_never_fires_on_cover_keeps_its_hits() -> None:
    threshold = thresholds.freeze(np.zeros(50), 1e-2)
    assert 0 < threshold <= 1e-9
    assert thresholds.freeze(np.ones(50), 1e-2) > 1


def test_without_cover_nothing_may_be_flagged() -> None:
    assert thresholds.freeze(np.array([]), 1e-2) == math.inf


@pytest.mark.parametrize(
    ("n", "limit", "given"),
    [(299, 1e-2, False), (300, 1e-2, True), (2999, 1e-3, False), (3000, 1e-3, True), (30000, 1e-4, True)],
)
def test_three_over_fpr(n: int, limit: float, given: bool) -> None:
    assert thresholds.enough(n, limit) is given


def test_names() -> None:
    assert thresholds.METRICS == ("tpr@1e-2", "tpr@1e-3", "tpr@1e-4")


def test_thresholds_do_not_move_with_what_is_tested() -> None:
    """Raising every score of a fold moves the thresholds that it validates, and never its own."""
    flows = corpus(sessions()).flows
    splits = rotation(flows, 4)
    before = trial.run("rule", Rule(), flows, splits).answers
    for split in splits:
        changed = flows.assign(signal=flows["signal"].where(~split.test, 100.0))
        after = trial.run("rule", Rule(), changed, splits).answers
        column = "threshold tpr@1e-2"
        assert before[column][split.test].equals(after[column][split.test])
        assert not before[column][~split.test].equals(after[column][~split.test])


def test_a_trained_detector_is_not_validated_on_what_it_learned() -> None:
    flows = corpus(sessions()).flows
    for split in rotation(flows, 4):
        assert not (split.train & split.validation).any()
    tried = trial.run("rule", Rule(), flows, rotation(flows, 4))
    assert set(tried.answers["tpr@1e-2"]) <= {0.0, 1.0}
    assert tried.answers.index.equals(flows.index)
