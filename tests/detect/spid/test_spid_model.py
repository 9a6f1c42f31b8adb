"""Smoothing, divergence and merging against the formulas written out."""

from __future__ import annotations

import math

import numpy as np
import pytest

from btresearch.detect.spid.meters import Packet
from btresearch.detect.spid.model import count, merged, modelled, observed, train

SESSION = (Packet(True, b"GET / HTTP/1.1", 14, 54), Packet(False, b"HTTP/1.1 200 OK", 15, 54))


def test_distributions_sum_to_one_even_when_empty():
    counts = count([SESSION, ()])
    assert counts.shape == (2, 15, 256)
    assert observed(counts).sum(axis=-1) == pytest.approx(np.ones((2, 15)))
    assert modelled(counts).sum(axis=-1) == pytest.approx(np.ones((2, 15)))
    assert observed(counts)[1] == pytest.approx(np.full((15, 256), 1 / 256))


def test_distance_is_the_mean_divergence_in_bits_written_out():
    counts = count([SESSION])
    models = train(counts, np.array(["http"]), ["a"], faithful=True)
    total = 0.0
    for meter in range(15):
        c, n = counts[0, meter], counts[0, meter].sum()
        for i in range(256):
            p, q = (c[i] + 1 / 256) / (n + 1), (c[i] + 1) / (n + 256)
            total += p * (math.log2(p) - math.log2(q))
    assert models.distances(counts)[0, 0] == pytest.approx(total / 15)


def test_divergence_from_the_same_flat_distribution_is_zero():
    nothing = np.zeros((1, 15, 256))
    models = train(nothing, np.array(["x"]), ["a"], faithful=False)
    assert models.distances(nothing)[0, 0] == pytest.approx(0.0)


def test_models_are_sums_and_the_original_may_lose_a_count_to_rounding():
    counts = np.zeros((2, 1, 256))
    counts[:, 0, :2] = [[29, 78], [1, 2]]
    assert merged(counts, faithful=False)[0, :2].tolist() == [30, 80]
    kept = merged(counts, faithful=True)[0, :2]
    assert all(full - lost in {0.0, 1.0} for full, lost in zip([30, 80], kept, strict=True))


def test_training_records_classes_sessions_and_groups():
    counts = count([SESSION] * 3)
    models = train(counts, np.array(["b", "a", "b"]), ["g1", "g2", "g1"], faithful=True)
    assert (models.classes, models.sessions, models.groups) == (("a", "b"), (1, 2), {"g1", "g2"})
