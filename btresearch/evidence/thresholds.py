"""Thresholds for a wanted false-positive rate, fixed on validation groups and then applied once."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

LIMITS = (1e-2, 1e-3, 1e-4)
NEVER = math.inf
TOO_SMALL = "n too small"


def metric(limit: float) -> str:
    """The name that a rate at this FPR has in every table: `tpr@1e-2`."""
    return f"tpr@1e-{round(-math.log10(limit))}"


METRICS = tuple(metric(limit) for limit in LIMITS)


def freeze(negatives: NDArray[np.float64], limit: float) -> float:
    """The lowest threshold at which no more than `limit` of the scores of cover are at or above it.

    Without scores nothing may be flagged: the threshold is infinite.
    """
    if not len(negatives):
        return NEVER
    allowed = math.floor(limit * len(negatives))
    first_refused = np.sort(negatives)[::-1][allowed]
    return float(np.nextafter(first_refused, np.inf))


def enough(distinct_negatives: int, limit: float) -> bool:
    """Whether a rate at this FPR may be given at all: at least 3 / FPR distinct negatives were tested."""
    return distinct_negatives >= math.ceil(3 / limit - 1e-9)
