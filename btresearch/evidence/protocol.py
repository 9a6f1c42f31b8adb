"""The harness's results as the small tables that stand beside a claim's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

from btresearch.evidence.evaluation import Evaluation

SHORTCUTS = 12
RATE = ["rate", "low", "high", "session_low", "session_high"]


def tables(
    evaluation: Evaluation | None, detectors: Iterable[str] | None = None
) -> Mapping[str, pd.DataFrame]:
    """Worst cases, base rates, packets until the verdict, controls and the leak audit; empty without a harness run.

    With `detectors`, only theirs (and the controls and the audit, which are of the corpus).
    """
    if evaluation is None:
        return {}
    names = None if detectors is None else list(detectors)
    found = {
        "Rates at thresholds fixed on other sessions": _rates(_some(evaluation.rates, names)),
        "Left out: mean and worst": _left_out(_some(evaluation.leave_one_out, names)),
        "Precision at base rates": _base_rates(_some(evaluation.base_rates, names)),
        "Packets until the verdict": _packets(_some(evaluation.packets, names)),
        "Controls": evaluation.controls,
        "Leak audit: what one column tells alone": _leaks(evaluation.leaks),
        "Duplicates": evaluation.duplicates,
    }
    return {title: table.reset_index(drop=True) for title, table in found.items() if len(table)}


def _some(table: pd.DataFrame, names: list[str] | None) -> pd.DataFrame:
    return table if names is None else table[table["detector"].isin(names)]


def _rates(rates: pd.DataFrame) -> pd.DataFrame:
    return rates[rates["metric"].str.startswith("tpr@") & rates["rate"].notna()]


def _left_out(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["level"].isin(["mean", "worst"]) & table["rate"].notna()]


def _base_rates(table: pd.DataFrame) -> pd.DataFrame:
    return table[(table["metric"] == "flagged") & table["base_rate"].isin([10, 1000, 1_000_000])]


def _packets(table: pd.DataFrame) -> pd.DataFrame:
    return table[(table["class"] == "bittorrent") & (table["final"] > 0)] if len(table) else table


def _leaks(table: pd.DataFrame) -> pd.DataFrame:
    return table.sort_values("auc", ascending=False, kind="stable").head(SHORTCUTS)
