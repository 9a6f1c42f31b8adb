"""How a detector does on a client, TLS library, network profile or torrent that its model never met."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from btresearch.detect import Trainable
from btresearch.evidence.judge import fitted, judge_with, protocol_names
from btresearch.evidence.rates import COVER, NOT_GIVEN, cells, measured
from btresearch.evidence.splits import FACTORS, Mask, Split, left_out
from btresearch.evidence.trial import Trial, acted_on

COLUMNS = [
    "detector", "capture", "factor", "level", "transport", "shape", "class", "n", "sessions", "hits", "rate", "low",
    "high", "session_low", "session_high", "said",
]  # fmt: skip
ONE_LEVEL = "one level only: cannot be left out"
MEAN, WORST = "mean", "worst"

Row = dict[str, Any]


def leave_one_out(trial: Trial, capture: str, *, seed: int) -> pd.DataFrame:
    """A row per factor, level and cell, then `mean` and `worst` over the levels of each factor and cell.

    A trained detector learns anew for each level, from every transport (A3) but not from sessions that hold the
    level. A rule has nothing to unlearn: its rows are its rates on that level. The worst rate is the lowest for
    BitTorrent and the highest for cover.
    """
    rows: list[Row] = []
    for factor in FACTORS:
        head = {"detector": trial.name, "capture": capture, "factor": factor}
        found = [head | row for row in _levels(trial, factor, seed)]
        rows += [*found, *_summed(found)] if found else [head | _silent(ONE_LEVEL)]
    return pd.DataFrame(rows, columns=COLUMNS)


def _levels(trial: Trial, factor: str, seed: int) -> Iterator[Row]:
    names = protocol_names(trial.flows)
    for level, split in left_out(trial.flows, factor):
        hits, said = _hits(trial, split, names)
        held = trial.flows[split.test]
        sessions = held["truth_session"].to_numpy(dtype=object)
        for (transport, shape, class_), mask in cells(held).items():
            cell = {"level": level, "transport": transport, "shape": shape, "class": class_, "said": said}
            row = measured(hits[mask], sessions[mask], seed=seed)
            yield cell | row | (NOT_GIVEN if said else {})


def _hits(trial: Trial, split: Split, names: pd.Series[str]) -> tuple[Mask, str]:
    """Which of the held-out flows are acted on, and why that can't be asked."""
    held = trial.flows[split.test]
    if not isinstance(trial.detector, Trainable):
        return trial.acted_on[split.test], ""
    classes = set(trial.flows["truth_class"][split.train])
    if classes != {"bittorrent", "cover"}:
        return np.zeros(len(held), bool), "the sessions that remain don't hold both classes"
    model = fitted(trial.detector, trial.flows[split.train], names)
    if isinstance(model, str):
        return np.zeros(len(held), bool), model
    return acted_on(judge_with(model, held)), ""


def _summed(rows: list[Row]) -> Iterator[Row]:
    table = pd.DataFrame(rows).dropna(subset="rate")
    keys = ["detector", "capture", "factor", "transport", "shape", "class"]
    for key, group in table.groupby(keys, sort=False):
        cell = dict(zip(keys, key, strict=True))
        worst = group.sort_values("rate").iloc[-1 if cell["class"] == COVER[2] else 0]
        count = f"{len(group)} levels" if len(group) > 1 else "one level of this cell"
        yield cell | _silent(f"unweighted, {count}") | cell | {"level": MEAN, "rate": group["rate"].mean()}
        yield {str(k): v for k, v in worst.items()} | {"level": WORST, "said": str(worst["level"])}


def _silent(said: str) -> Row:
    blank = {"level": "", "transport": "", "shape": "", "class": "", "n": 0, "sessions": 0}
    return blank | NOT_GIVEN | {"said": said}
