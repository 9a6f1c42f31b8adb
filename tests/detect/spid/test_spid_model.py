"""Smoothing, divergence and merging against the formulas written out."""

from __future__ import annotations

import math

import numpy as np
import pytest

from btresearch.detect import DetectorError
from btresearch.detect.spid.meters import tallies
from btresearch.detect.spid.model import Batch, Models, merged, modelled, observed, self_information, train
from tests.detect.spid.batches import batch, session

TALK = session((1, b"GET / HTTP/1.1"), (-1, b"HTTP/1.1 200 OK"))
COUNTS = np.stack(list(tallies(batch([TALK, TALK, session((1, b"x"))]))))  # meters x sessions x 256


def learnt(counts: np.ndarray, truth: list[str], groups: list[str], *, faithful: bool = True) -> Models:
    return train([Batch(np.array(truth), np.array(groups), counts)], faithful=faithful)


def test_distributions_sum_to_one_even_when_empty():
    counts = np.stack([COUNTS[:, 0], np.zeros((15, 256), np.int64)])
    assert observed(counts).sum(axis=-1) == pytest.approx(np.ones((2, 15)))
    assert modelled(counts).sum(axis=-1) == pytest.approx(np.ones((2, 15)))
    assert observed(counts)[1] == pytest.approx(np.full((15, 256), 1 / 256))


@pytest.mark.parametrize("top", [0, 1, 7, 8, 5000])
def test_entropy_is_that_of_the_observed_distribution(top):
    counts = np.random.default_rng(top).integers(0, top + 1, (4, 256))
    p, n = observed(counts), counts.sum(axis=-1) + 1
    entropy = self_information(counts) / n - np.log2(n)
    assert entropy == pytest.approx((p * np.log2(p)).sum(axis=-1), abs=1e-12)


def test_distance_is_the_mean_divergence_in_bits_written_out():
    models = learnt(COUNTS[:, :1], ["http"], ["a"])
    totals = []
    for c in COUNTS[:, 0].tolist():
        p = [(c[i] + 1 / 256) / (sum(c) + 1) for i in range(256)]
        q = [(c[i] + 1) / (sum(c) + 256) for i in range(256)]
        totals.append(sum(a * (math.log2(a) - math.log2(b)) for a, b in zip(p, q, strict=True)))
    assert models.divergences(COUNTS[:, :1])[0, 0].tolist() == pytest.approx(totals)
    assert models.distances(COUNTS[:, :1])[0, 0] == pytest.approx(sum(totals) / 15)


def test_divergence_from_the_same_flat_distribution_is_zero():
    nothing = np.zeros((1, 1, 256), np.int64)
    models = learnt(nothing, ["x"], ["a"], faithful=False)
    assert models.distances(nothing)[0, 0] == pytest.approx(0.0)


def test_models_are_sums_and_the_original_may_lose_a_count_to_rounding():
    counts = np.zeros((2, 256), np.int64)
    counts[:, :2] = [[29, 78], [1, 2]]
    assert merged(counts, faithful=False).tolist() == counts.tolist()
    # floor(n p) with n p just below c: 1 of 49 is such a count.
    lossy = np.array([[1, 48] + [0] * 254])
    assert merged(lossy, faithful=True)[0, :2].tolist() == [0, 48]
    kept = learnt(counts[None], ["x", "x"], ["a", "a"]).counts[0, 0, :2]
    assert all(full - lost in {0.0, 1.0} for full, lost in zip([30, 80], kept, strict=True))


def test_training_records_classes_sessions_and_groups():
    models = learnt(COUNTS, ["b", "a", "b"], ["g1", "g2", "g1"])
    assert (models.classes, models.sessions, models.groups) == (("a", "b"), (1, 2), {"g1", "g2"})
    assert models.counts.shape == (2, 15, 256)


def test_classes_below_the_rule_of_thumb_are_named():
    counts = np.repeat(COUNTS[:, :1], 25 + 26, axis=1)
    assert learnt(counts, ["few"] * 25 + ["many"] * 26, ["g"] * 51).thin == ("few",)


def test_training_in_batches_is_training_at_once():
    truth, groups = np.array(["b", "a", "b"]), np.array(["g1", "g2", "g3"])
    parts = [Batch(truth[at], groups[at], COUNTS[:, at]) for at in (slice(0, 1), slice(1, 3))]
    apart, whole = train(parts, faithful=True), learnt(COUNTS, truth.tolist(), groups.tolist())
    assert np.array_equal(apart.counts, whole.counts)
    assert (apart.classes, apart.sessions, apart.groups) == (whole.classes, whole.sessions, whole.groups)


def test_nothing_to_learn_from_is_an_error():
    with pytest.raises(DetectorError, match="whole session start"):
        train([], faithful=True)
