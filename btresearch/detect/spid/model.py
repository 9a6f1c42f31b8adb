"""SPID's statistics: smoothing, divergence, and the models of the trained classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from btresearch.detect.contract import DetectorError
from btresearch.detect.spid.packets import BINS, Counts

Reals = npt.NDArray[np.float64]
Names = npt.NDArray[np.str_]

RULE_OF_THUMB_SESSIONS = 26  # ".SE report" p. 14: good results from about a tenth of 256


def observed(counts: Counts) -> Reals:
    """Smoothed distribution of one session: (c_i + 1/256) / (n + 1)."""
    return np.asarray((counts + 1 / BINS) / (counts.sum(axis=-1, keepdims=True) + 1))


def modelled(counts: Reals) -> Reals:
    """Smoothed distribution of a model: (c_i + 1) / (n + 256)."""
    return np.asarray((counts + 1) / (counts.sum(axis=-1, keepdims=True) + BINS))


def merged(counts: Counts, *, faithful: bool) -> Reals:
    """What each session adds to the counters of its class: c_i.

    The original adds floor(n * p_i) with p_i = c_i / n, which rounding may make one less than c_i.
    """
    if not faithful:
        return counts.astype(np.float64)
    n = np.maximum(counts.sum(axis=-1, keepdims=True), 1)
    return np.asarray(np.floor(n * (counts / n)))


@cache
def _terms(top: int) -> Reals:
    """The numbers x log2 x at x = c + 1/256, for c = 0 ... top."""
    x = np.arange(top + 1) + 1 / BINS
    return np.asarray(x * np.log2(x))


def self_information(counts: Counts) -> Reals:
    """Sum of x log2 x over the bins of each session, with x = c_i + 1/256.

    Divided by n + 1, and less log2 (n + 1), it is the sum of P_i log2 P_i.
    """
    top = int(counts.max(initial=0))
    return np.asarray(_terms(1 << top.bit_length()).take(counts, mode="clip").sum(axis=-1))


@dataclass(frozen=True)
class Models:
    """Trained classes: their counters (classes x meters x 256), how many sessions, and which groups they saw."""

    classes: tuple[str, ...]
    counts: Reals
    sessions: tuple[int, ...]
    groups: frozenset[str]

    @property
    def thin(self) -> tuple[str, ...]:
        """Classes trained on fewer sessions than the author's rule of thumb asks for."""
        sizes = zip(self.classes, self.sessions, strict=True)
        return tuple(name for name, size in sizes if size < RULE_OF_THUMB_SESSIONS)

    @cached_property
    def _log2(self) -> Reals:
        """Log of the models' distributions, a column a class, and a column of ones: (meters, 256, classes + 1)."""
        log2 = np.log2(modelled(self.counts)).transpose(1, 2, 0)
        return np.ascontiguousarray(np.concatenate([log2, np.ones((*log2.shape[:2], 1))], axis=-1))

    def divergences(self, tallies: Iterable[Counts]) -> Reals:
        """Kullback-Leibler divergence in bits from each class, shape (sessions, classes, meters).

        `tallies` are the observed counters, meter by meter. A meter that emitted nothing counts like any
        other, with its smoothed (uniform) distribution.
        """
        parts = []
        for counts, log2 in zip(tallies, self._log2, strict=True):
            sums = counts.astype(np.float64) @ log2  # one product for every class, and n for the ones
            cross, n = sums[:, :-1] + log2[:, :-1].sum(axis=0) / BINS, sums[:, -1:] + 1
            parts.append((self_information(counts)[:, None] - cross) / n - np.log2(n))
        return np.stack(parts, axis=-1)

    def distances(self, tallies: Iterable[Counts]) -> Reals:
        """Mean divergence in bits over the meters, shape (sessions, classes)."""
        return np.asarray(self.divergences(tallies).mean(axis=-1))


class Batch(NamedTuple):
    """Sessions to learn from: the class and the group of each, and their counters meter by meter."""

    truth: Names
    groups: Names
    tallies: Iterable[Counts]


def train(batches: Iterable[Batch], *, faithful: bool) -> Models:
    """One model per class that occurs. Models are sums, so that batches keep the memory small.

    Raises DetectorError when there is no session at all.
    """
    sums: dict[str, Reals] = {}
    sessions: Counter[str] = Counter()
    groups: set[str] = set()
    for batch in batches:
        classes, member = np.unique(batch.truth, return_inverse=True)
        indicator = np.eye(len(classes))[:, member]
        added = np.stack([indicator @ merged(counts, faithful=faithful) for counts in batch.tallies], axis=1)
        for name, counts in zip(classes.tolist(), added, strict=True):
            sums[name] = sums.get(name, 0.0) + counts
        sessions.update(batch.truth.tolist())
        groups.update(batch.groups.tolist())
    if not sums:
        raise DetectorError("spid: no flow to learn from has a whole session start")
    names = tuple(sorted(sums))
    return Models(
        names, np.stack([sums[n] for n in names]), tuple(sessions[n] for n in names), frozenset(groups)
    )
