"""SPID's statistics: counters, smoothing, divergence, and the models of the trained classes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from btresearch.detect.spid.meters import BINS, DEFAULT, SETS, Session

Counts = npt.NDArray[np.float64]  # sessions (or classes) x meters x 256 bins


def count(sessions: Iterable[Session], meters: str = "default") -> Counts:
    """How often each meter of the set hit each bin, per session: shape (sessions, meters, 256)."""
    chosen = [DEFAULT[name] for name in SETS[meters]]
    size = len(chosen) * BINS
    rows = []
    for session in sessions:
        bins = np.concatenate([meter(session) + BINS * i for i, meter in enumerate(chosen)])
        rows.append(np.bincount(bins, minlength=size))
    return np.array(rows, dtype=np.float64).reshape(-1, len(chosen), BINS)


def observed(counts: Counts) -> Counts:
    """Smoothed distribution of one session: (c_i + 1/256) / (n + 1)."""
    return np.asarray((counts + 1 / BINS) / (counts.sum(axis=-1, keepdims=True) + 1))


def modelled(counts: Counts) -> Counts:
    """Smoothed distribution of a model: (c_i + 1) / (n + 256)."""
    return np.asarray((counts + 1) / (counts.sum(axis=-1, keepdims=True) + BINS))


def merged(counts: Counts, *, faithful: bool) -> Counts:
    """The counters of a class: bin-wise sum over its training sessions, shape (meters, 256).

    The original adds floor(n * p_i) with p_i = c_i / n, which rounding may make one less than c_i.
    """
    if faithful:
        n = np.maximum(counts.sum(axis=-1, keepdims=True), 1)
        counts = np.floor(n * (counts / n))
    return np.asarray(counts.sum(axis=0))


@dataclass(frozen=True)
class Models:
    """Trained classes: their counters, and how many sessions and which groups each was made of."""

    classes: tuple[str, ...]
    counts: Counts
    sessions: tuple[int, ...]
    groups: frozenset[str]

    def distances(self, counts: Counts) -> npt.NDArray[np.float64]:
        """Mean Kullback-Leibler divergence in bits over the meters, shape (sessions, classes).

        A meter that emitted nothing counts like any other, with its smoothed (uniform) distribution.
        """
        p = observed(counts)
        log_q = np.log2(modelled(self.counts))
        own = (p * np.log2(p)).sum(axis=(1, 2))
        cross = p.reshape(len(p), -1) @ log_q.reshape(len(log_q), -1).T
        meters = counts.shape[1]
        return np.asarray((own[:, None] - cross) / meters)


def train(counts: Counts, truth: npt.NDArray[np.str_], groups: Iterable[str], *, faithful: bool) -> Models:
    """One model per class that occurs in `truth` (one entry per row of `counts`)."""
    classes = tuple(sorted(set(truth.tolist())))
    members = [counts[truth == name] for name in classes]
    return Models(
        classes,
        np.stack([merged(rows, faithful=faithful) for rows in members]),
        tuple(len(rows) for rows in members),
        frozenset(groups),
    )
