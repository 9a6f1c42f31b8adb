"""Rates of a trial with both intervals, ROC curves and the precision that they mean at real base rates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from btresearch.evidence import thresholds
from btresearch.evidence.duplicates import sequences
from btresearch.evidence.intervals import clopper_pearson, resampled
from btresearch.evidence.separability import auc
from btresearch.evidence.splits import Mask
from btresearch.evidence.trial import Trial

RATES = [
    "detector", "capture", "transport", "shape", "class", "metric", "n", "distinct", "sessions", "hits", "rate",
    "low", "high", "session_low", "session_high", "bound", "said",
]  # fmt: skip
ROC = [
    "detector", "capture", "transport", "shape", "threshold", "fpr", "tpr", "positives", "negatives",
    "auc", "auc_low", "auc_high",
]  # fmt: skip
BASE_RATES = [
    "detector", "capture", "transport", "shape", "metric", "base_rate", "tpr", "fpr", "fpr_high", "precision",
    "precision_at_least",
]  # fmt: skip
COVER = ("cover", "", "cover")
ONE_IN = tuple(10**k for k in range(1, 7))
ROC_POINTS = 200
NOT_GIVEN = {"hits": np.nan, "rate": np.nan, "low": np.nan, "high": np.nan} | {
    "session_low": np.nan, "session_high": np.nan, "bound": np.nan,
}  # fmt: skip

Row = dict[str, Any]
Cell = tuple[str, str, str]


def cells(flows: pd.DataFrame) -> dict[Cell, Mask]:
    """The flows of each (transport, shape, class), and of all cover traffic together."""
    cover = (flows["truth_class"] == "cover").to_numpy()
    keys = pd.MultiIndex.from_frame(flows[["truth_transport", "truth_shape"]])
    found: dict[Cell, Mask] = {
        (str(transport), str(shape), "bittorrent"): (keys == (transport, shape)) & ~cover
        for transport, shape in sorted(set(keys[~cover]))
    }
    return found | ({COVER: cover} if cover.any() else {})


def measured(hits: Mask, sessions: np.ndarray[Any, Any], *, seed: int) -> Row:
    """n, sessions, hits, rate, both intervals and the bound of a rate of zero."""
    names, code = np.unique(sessions.astype(str), return_inverse=True)
    n, count = len(hits), int(hits.sum())
    low, high = clopper_pearson(count, n)
    flagged = np.bincount(code, weights=hits, minlength=len(names)).astype(np.float64)
    sizes = np.bincount(code, minlength=len(names)).astype(np.float64)
    session_low, session_high = resampled(flagged, sizes, seed=seed)
    return {
        "n": n, "sessions": len(names), "hits": count, "rate": count / n if n else np.nan, "low": low, "high": high,
        "session_low": session_low, "session_high": session_high,
        "bound": min(1.0, 3 / n) if n and not count else np.nan,
    }  # fmt: skip


def rates(trial: Trial, capture: str, *, seed: int) -> pd.DataFrame:
    """One row per cell and metric: `flagged`, `named`, and the rate at each frozen threshold."""
    found = cells(trial.flows)
    distinct = np.array(sequences(trial.flows), dtype=object)
    negatives = len(set(distinct[found[COVER]])) if COVER in found else 0
    rows = []
    for (transport, shape, class_), mask in found.items():
        cell = {
            "detector": trial.name,
            "capture": capture,
            "transport": transport,
            "shape": shape,
            "class": class_,
        }
        facts = {"distinct": len(set(distinct[mask]))}
        rows += [cell | facts | row for row in _cell(trial, mask, negatives, seed)]
    return pd.DataFrame(rows, columns=RATES)


def _cell(trial: Trial, mask: Mask, negatives: int, seed: int) -> Iterator[Row]:
    sessions = trial.flows["truth_session"].to_numpy(dtype=object)[mask]
    named = trial.answers["verdict"].eq("bittorrent").to_numpy()
    for metric, hits in (("flagged", trial.acted_on), ("named", named)):
        row = measured(hits[mask], sessions, seed=seed)
        yield row | {"metric": metric, "said": _remark(row)}
    for limit in thresholds.LIMITS:
        metric = thresholds.metric(limit)
        row = measured(trial.answers[metric].to_numpy(bool)[mask], sessions, seed=seed) | {"metric": metric}
        if thresholds.enough(negatives, limit):
            yield row | {"said": _remark(row)}
        else:
            wanted = f"{thresholds.TOO_SMALL}: {negatives} distinct negatives, {round(3 / limit)} are needed"
            yield row | NOT_GIVEN | {"said": wanted}


def _remark(row: Row) -> str:
    return f"0 of {row['n']}: a bound of {row['bound']:.2%} at best" if row["hits"] == 0 else ""


def roc(trial: Trial, capture: str, *, seed: int) -> pd.DataFrame:
    """Each BitTorrent cell against all cover: the curve's points, and its area with the session bootstrap."""
    found = cells(trial.flows)
    tables = [pd.DataFrame(columns=ROC)]
    if COVER in found:
        for (transport, shape, class_), mask in found.items():
            if class_ == "bittorrent":
                table = _curve(trial, mask, found[COVER], seed)
                cell = {"detector": trial.name, "capture": capture, "transport": transport, "shape": shape}
                tables.append(table.assign(**cell)[ROC])
    return pd.concat(tables[1:] or tables, ignore_index=True)


def _curve(trial: Trial, ours: Mask, theirs: Mask, seed: int) -> pd.DataFrame:
    both = ours | theirs
    sessions = trial.flows["truth_session"].to_numpy(dtype=object)[both]
    area = auc(trial.scores[both], ours[both], sessions, seed=seed)
    mine, others = np.sort(trial.scores[ours]), np.sort(trial.scores[theirs])
    cuts = np.unique(np.concatenate([mine, others]))[::-1]
    if len(cuts) > ROC_POINTS:
        cuts = cuts[np.unique(np.linspace(0, len(cuts) - 1, ROC_POINTS).astype(int))]
    cuts = np.concatenate([[np.inf], cuts])
    return pd.DataFrame(
        {
            "threshold": cuts,
            "fpr": 1 - np.searchsorted(others, cuts, "left") / len(others),
            "tpr": 1 - np.searchsorted(mine, cuts, "left") / len(mine),
        }
    ).assign(
        positives=len(mine), negatives=len(others), auc=area.value, auc_low=area.low, auc_high=area.high
    )  # fmt: skip


def base_rates(rated: pd.DataFrame) -> pd.DataFrame:
    """Precision of every given rate where one flow in `base_rate` + 1 is BitTorrent.

    `fpr_high` is the upper end of both intervals, and the bound 3/n where no false positive was seen: then the
    precision isn't known, only how low it may be.
    """
    rows = [
        _precision(ours, theirs.iloc[0], one_in)
        for (detector, capture, metric), group in rated.groupby(["detector", "capture", "metric"], sort=False)
        for theirs in [group[group["class"] == "cover"].dropna(subset="rate")]
        if len(theirs)
        for _, ours in group[group["class"] == "bittorrent"].iterrows()
        for one_in in ONE_IN
    ]
    return pd.DataFrame(rows, columns=BASE_RATES)


def _precision(ours: pd.Series[Any], theirs: pd.Series[Any], one_in: int) -> Row:
    tpr, fpr = float(ours["rate"]), float(theirs["rate"])
    high = float(theirs["bound"]) if fpr == 0 else max(theirs["high"], theirs["session_high"])
    facts = {name: ours[name] for name in ("detector", "capture", "transport", "shape", "metric")}
    return facts | {
        "base_rate": one_in, "tpr": tpr, "fpr": fpr, "fpr_high": high,
        "precision": precision(tpr, fpr, one_in) if fpr else np.nan,
        "precision_at_least": precision(tpr, high, one_in),
    }  # fmt: skip


def precision(tpr: float, fpr: float, one_in: int) -> float:
    """The share of BitTorrent among flagged flows where there are `one_in` other flows to each of it."""
    flagged = tpr + fpr * one_in
    return tpr / flagged if flagged else np.nan
