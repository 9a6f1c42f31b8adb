"""What each meter contributes to SPID's answer, from divergences that are already known.

The functions take what `Spid.divergences` returns, or several such tables of models trained apart, one below the
other, and the true class of each row on the same index. Flows without a session, and flows of a class that their
model does not know, have no part in it. All raise DetectorError when the index of the truth is another.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from btresearch.detect.spid.model import Reals
from btresearch.detect.spid.thresholds import sweep, truth_of


def contribution(divergences: pd.DataFrame, truth: pd.Series[str]) -> pd.DataFrame:
    """How far, by each meter, the flows of a class are from its own model and from the others.

    Returns: one row per `class` and `meter`: `flows`; the mean divergence in bits from the own model (`own_bits`),
    from all others (`others_bits`) and from the nearest other of each flow (`nearest_other_bits`); `alone`, the share
    of flows whose own model is the nearest by this meter alone.
    """
    cube, classes, meters = _cube(divergences)
    actual = truth_of(divergences, truth)
    parts = []
    for place, name in enumerate(classes.tolist()):
        member = (actual == name) & ~np.isnan(cube[:, place, 0])
        if member.any():
            own, others = cube[member, place], np.delete(cube[member], place, axis=1)
            parts.append(
                pd.DataFrame({"class": name, "meter": meters, "flows": len(own), **_gaps(own, others)})
            )
    columns = ["class", "meter", "flows", "own_bits", "others_bits", "nearest_other_bits", "alone"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def _gaps(own: Reals, others: Reals) -> dict[str, Reals]:
    """Means over the flows, meter by meter; without any other class, the others' are NaN."""
    unknown = np.isnan(others)
    count = (~unknown).sum(axis=1)
    mean = np.divide(np.nansum(others, axis=1), count, out=np.full(own.shape, np.nan), where=count > 0)
    nearest = np.where(unknown, np.inf, others).min(axis=1, initial=np.inf)
    return {
        "own_bits": own.mean(axis=0),
        "others_bits": mean.mean(axis=0),
        "nearest_other_bits": np.where(np.isinf(nearest), np.nan, nearest).mean(axis=0),
        "alone": (own < nearest).mean(axis=0),
    }


def ablation(
    divergences: pd.DataFrame, truth: pd.Series[str], threshold_bits: float, positive: str = "bt"
) -> pd.DataFrame:
    """What becomes of each class when one meter is left out of the mean.

    The models need no new training, since each meter has counters of its own.

    Returns: the columns of `sweep`, with `left_out` (the meter, "" for none) and `margin_bits` (mean over the class's
    flows of the distance to the nearest other model less that to the own).
    """
    cube, classes, meters = _cube(divergences)
    total = cube.sum(axis=-1)
    parts = []
    for place, meter in enumerate(["", *meters.tolist()]):
        kept = total / len(meters) if not meter else (total - cube[..., place - 1]) / (len(meters) - 1)
        distances = pd.DataFrame(kept, index=divergences.index, columns=classes)
        found = sweep(distances, truth, [threshold_bits], positive)
        margins = _margins(distances, truth)
        parts.append(found.assign(left_out=meter, margin_bits=found["class"].map(margins)))
    return pd.concat(parts, ignore_index=True)


def _margins(distances: pd.DataFrame, truth: pd.Series[str]) -> dict[str, float]:
    """Mean margin of each class's flows; classes without a model, or with no other beside it, have none."""
    actual = truth_of(distances, truth)
    margins = {}
    for name in set(actual.tolist()) & set(distances.columns):
        members = distances[actual == name]
        margins[name] = float((members.drop(columns=name).min(axis=1) - members[name]).mean())
    return margins


def _cube(divergences: pd.DataFrame) -> tuple[Reals, npt.NDArray[np.str_], npt.NDArray[np.str_]]:
    """Shape (flows, classes, meters), with the classes and the meters."""
    classes = divergences.columns.get_level_values("class").unique()
    meters = divergences.columns.get_level_values("meter").unique()
    ordered = divergences.reindex(
        columns=pd.MultiIndex.from_product([classes, meters], names=["class", "meter"])
    )
    cube = ordered.to_numpy().reshape(len(divergences), len(classes), len(meters))
    return cube, classes.to_numpy(dtype=str), meters.to_numpy(dtype=str)
