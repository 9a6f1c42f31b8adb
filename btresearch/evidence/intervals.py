"""Intervals for a rate: exact (Clopper-Pearson) and by resampling whole capture sessions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta


def clopper_pearson(hits: int, n: int, *, level: float = 0.95) -> tuple[float, float]:
    """Exact binomial interval (Clopper & Pearson 1934); (0, 1) when n is 0.

    Assumes independent flows, which flows of one session are not: `session_bootstrap` stands beside it.
    """
    if not 0 <= hits <= n:
        raise ValueError(f"hits {hits} of {n}: expected 0 <= hits <= n")
    tail = (1 - level) / 2
    low = 0.0 if hits == 0 else float(beta.ppf(tail, hits, n - hits + 1))
    high = 1.0 if hits == n else float(beta.ppf(1 - tail, hits + 1, n - hits))
    return low, high


def session_bootstrap(
    hits: NDArray[np.bool_], sessions: Sequence[str], *, seed: int, draws: int = 2000, level: float = 0.95
) -> tuple[float, float]:
    """Percentile interval of the rate over resampled sessions; (0, 1) with fewer than two sessions.

    Every session is drawn with replacement as a whole (evaluation protocol, point 6). A rate of exactly
    0 or 1 in every session gives a point: read the exact bound then.
    """
    codes, names = _codes(sessions)
    flagged = np.bincount(codes, weights=hits.astype(np.float64), minlength=len(names))
    sizes = np.bincount(codes, minlength=len(names))
    return resampled(
        flagged.astype(np.float64), sizes.astype(np.float64), seed=seed, draws=draws, level=level
    )


def resampled(
    hits: NDArray[np.float64],
    sizes: NDArray[np.float64],
    *,
    seed: int,
    draws: int = 2000,
    level: float = 0.95,
) -> tuple[float, float]:
    """`session_bootstrap` of sessions that are counted already: hits and flows (at least one) of each."""
    if len(sizes) < 2:
        return 0.0, 1.0
    picks = np.random.default_rng(seed).integers(0, len(sizes), size=(draws, len(sizes)))
    rates = hits[picks].sum(axis=1) / sizes[picks].sum(axis=1)
    low, high = np.quantile(rates, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _codes(sessions: Sequence[str]) -> tuple[NDArray[np.intp], NDArray[np.str_]]:
    names, codes = np.unique(np.asarray(sessions, dtype=str), return_inverse=True)
    return codes.astype(np.intp), names
