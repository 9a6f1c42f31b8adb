"""What SPID answers at each threshold, from distances that are already known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from btresearch.detect.contract import DetectorError
from btresearch.detect.spid.packets import Bools

# The release's comments place a useful threshold between these, for either set of meters.
SWEEP_BITS = tuple(np.round(np.arange(1.5, 2.51, 0.05), 2).tolist())


def sweep(
    distances: pd.DataFrame,
    truth: pd.Series[str],
    thresholds_bits: Sequence[float] = SWEEP_BITS,
    positive: str = "bt",
) -> pd.DataFrame:
    """One row per threshold and true class, of which each flow is nearest to one model, or unknown.

    `distances` is what `Spid.distances` returns, or several such tables of models trained apart, one below the
    other: a class that a model does not know is NaN there. `truth` is the class of each row, on the same index.

    Returns: `threshold_bits`, `class`; `flows`, of which `sessions` have a whole session start; how many of these
    are `named` as their class, answered `bittorrent`, `other` or `unknown`; `claimed`, the flows of whatever class
    that are named as this one; `recall` (named / sessions) and `precision` (named / claimed), NaN for 0 / 0.

    Raises DetectorError when the index of `truth` is another.
    """
    table, classes = distances.to_numpy(), np.array(distances.columns, dtype=str)
    ours = np.array([name.startswith(positive) for name in classes], dtype=bool)
    met = ~np.isnan(table).all(axis=1)
    best = np.where(np.isnan(table), np.inf, table).argmin(axis=1)
    nearest = np.where(met, table[np.arange(len(table)), best], np.inf)
    actual = truth_of(distances, truth)
    rows = []
    for threshold in thresholds_bits:
        named = np.where(nearest < threshold, classes[best], "")
        bittorrent = (nearest < threshold) & ours[best]
        rows += [
            {
                "threshold_bits": threshold,
                "class": name,
                **_outcome(actual == name, met, named, bittorrent, name),
            }
            for name in np.unique(actual).tolist()
        ]
    made = pd.DataFrame(rows)
    return made.assign(recall=made["named"] / made["sessions"], precision=made["named"] / made["claimed"])


def truth_of(table: pd.DataFrame, truth: pd.Series[str]) -> npt.NDArray[np.str_]:
    """The class of each row. Raises DetectorError when the index of `truth` is another."""
    if not table.index.equals(truth.index):
        raise DetectorError("spid: distances and truth need one index")
    return truth.to_numpy(dtype=str)


def _outcome(
    member: Bools, met: Bools, named: npt.NDArray[np.str_], bittorrent: Bools, name: str
) -> dict[str, int]:
    known = named != ""
    masks = {
        "flows": member,
        "sessions": member & met,
        "named": member & (named == name),
        "bittorrent": member & bittorrent,
        "other": member & known & ~bittorrent,
        "unknown": member & met & ~known,
        "claimed": named == name,
    }
    return {column: int(mask.sum()) for column, mask in masks.items()}
