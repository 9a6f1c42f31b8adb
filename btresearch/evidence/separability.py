"""How well one number tells two kinds of flows apart: the area under the ROC curve, resampled by session."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.floating[Any]] | NDArray[np.integer[Any]]

DRAWS = 1000


class Area(NamedTuple):
    """An AUC with the percentile interval of resampled sessions; (0, 1) where they are too few to say."""

    value: float
    low: float
    high: float


def auc(
    scores: Scores,
    positive: NDArray[np.bool_],
    sessions: NDArray[np.object_],
    *,
    seed: int,
    draws: int = DRAWS,
    level: float = 0.95,
) -> Area:
    """The chance that a positive flow scores above a negative one, ties counted half; NaN without either.

    Whole sessions are drawn with replacement, those that hold positives apart from the others.
    """
    if positive.all() or not positive.any():
        return Area(np.nan, 0.0, 1.0)
    if (scores == scores[0]).all():
        return Area(0.5, 0.5, 0.5)
    names, code = np.unique(sessions.astype(str), return_inverse=True)
    wins = _wins(scores, positive, code, len(names))
    ours, theirs = (np.bincount(code[part], minlength=len(names)) for part in (positive, ~positive))
    value = float(wins.sum() / (ours.sum() * theirs.sum()))
    weights = _weights((ours > 0).tobytes(), draws, seed)
    rows, columns = np.flatnonzero(ours), np.flatnonzero(theirs)
    pairs = (weights @ ours) * (weights @ theirs)
    drawn = np.einsum("ij,ij->i", weights[:, rows] @ wins[np.ix_(rows, columns)], weights[:, columns])
    areas = drawn[pairs > 0] / pairs[pairs > 0]
    if min(np.count_nonzero(ours), np.count_nonzero(theirs)) < 2:
        return Area(value, 0.0, 1.0)
    low, high = np.quantile(areas, [(1 - level) / 2, (1 + level) / 2])
    return Area(value, float(low), float(high))


def auc_within(scores: Scores, positive: NDArray[np.bool_], group: NDArray[np.integer[Any]]) -> float:
    """The same chance over pairs of one group each, such as flows that one model judged; NaN without a pair."""
    won = pairs = 0.0
    for one in np.unique(group):
        ours, theirs = scores[(group == one) & positive], np.sort(scores[(group == one) & ~positive])
        won += (np.searchsorted(theirs, ours, "left") + np.searchsorted(theirs, ours, "right")).sum() / 2
        pairs += len(ours) * len(theirs)
    return won / pairs if pairs else np.nan


def folded(area: Area) -> Area:
    """The same, whichever side is the higher one: 0.5 is chance, 1 is perfect."""
    if not area.value < 0.5:
        return area
    return Area(1 - area.value, 1 - area.high, 1 - area.low)


def _wins(
    scores: Scores, positive: NDArray[np.bool_], code: NDArray[np.intp], count: int
) -> NDArray[np.float64]:
    """Pairs that the positive flow wins, by its session (row) and the negative flow's (column)."""
    wins = np.zeros((count, count))
    ours, mine = scores[positive], code[positive]
    for session in np.unique(code[~positive]):
        theirs = np.sort(scores[~positive & (code == session)])
        won = (np.searchsorted(theirs, ours, "left") + np.searchsorted(theirs, ours, "right")) / 2
        wins[:, session] = np.bincount(mine, weights=won, minlength=count)
    return wins


@lru_cache(maxsize=8)
def _weights(positive: bytes, draws: int, seed: int) -> NDArray[np.float64]:
    """How often each session is drawn, a row a draw; `positive` has a byte per session, 1 where it holds positives."""
    strata = np.frombuffer(positive, dtype=bool)
    weights, random = np.zeros((draws, len(strata))), np.random.default_rng(seed)
    for stratum in (strata, ~strata):
        where = np.flatnonzero(stratum)
        if len(where):
            weights[:, where] = random.multinomial(
                len(where), np.full(len(where), 1 / len(where)), size=draws
            )
    weights.setflags(write=False)
    return weights
