"""Rates, intervals, "n too small", ROC and precision at base rates."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from btresearch.evidence import rates, trial
from btresearch.evidence.splits import rotation
from tests.evidence.made import Rule, corpus, sessions


def rated(parts: list[pd.DataFrame]) -> pd.DataFrame:
    flows = corpus(parts).flows
    return rates.rates(trial.run("rule", Rule(), flows, rotation(flows, 4)), "wire", seed=1)


def row(table: pd.DataFrame, class_: str, metric: str) -> pd.Series:
    found = table[(table["class"] == class_) & (table["metric"] == metric)]
    assert len(found) == 1
    return found.iloc[0]


def test_a_cell_counts_flows_sessions_and_hits() -> None:
    table = rated(sessions(gap=50.0))
    ours, cover = row(table, "bittorrent", "flagged"), row(table, "cover", "flagged")
    assert (ours["n"], ours["distinct"], ours["sessions"], ours["hits"], ours["rate"]) == (
        64,
        64,
        16,
        64,
        1.0,
    )
    assert (ours["transport"], cover["transport"], cover["n"]) == ("btls_basic", "cover", 64)
    assert list(table.columns) == rates.RATES


def test_zero_of_n_is_a_bound() -> None:
    cover = row(rated(sessions(gap=50.0, within=0.01)), "cover", "flagged")
    assert cover["hits"] == 0
    assert cover["bound"] == 3 / 64
    assert cover["said"] == "0 of 64: a bound of 4.69% at best"
    assert cover["high"] == pytest.approx(1 - 0.025 ** (1 / 64))


def test_the_bootstrap_is_wider_where_sessions_agree_with_themselves() -> None:
    parts = sessions(gap=0.0, within=0.0)
    for k, part in enumerate(parts):
        part["signal"] = 5.0 if k % 2 else -5.0  # all flows of a session alike
    ours = row(rated(parts), "bittorrent", "flagged")
    assert ours["rate"] == 0.5
    assert ours["session_high"] - ours["session_low"] > 1.5 * (ours["high"] - ours["low"])


@pytest.mark.parametrize(("per_scenario", "given"), [(37, False), (38, True)])
def test_no_rate_at_an_fpr_with_too_few_negatives(per_scenario: int, given: bool) -> None:
    """296 negatives are too few for 1e-2, 304 are enough; 1e-3 needs 3000."""
    table = rated(sessions(per_scenario, gap=50.0))
    ours = row(table, "bittorrent", "tpr@1e-2")
    assert np.isnan(ours["rate"]) != given
    assert ("n too small" in ours["said"]) != given
    assert np.isnan(row(table, "cover", "tpr@1e-2")["rate"]) != given
    assert "3000 are needed" in row(table, "bittorrent", "tpr@1e-3")["said"]


def test_repeated_negatives_do_not_count_as_distinct() -> None:
    parts = sessions(38, gap=50.0)
    web = next(part for part in parts if part["truth_scenario"].iloc[0] == "web")
    for part in parts:
        if part["truth_scenario"].iloc[0] == "web":
            part["pkt_len"] = web["pkt_len"].to_numpy()
    assert "156 distinct negatives" in row(rated(parts), "bittorrent", "tpr@1e-2")["said"]


def test_at_a_frozen_threshold_the_lab_fpr_is_what_it_turned_out_to_be() -> None:
    table = rated(sessions(38, gap=2.0))
    cover, ours = row(table, "cover", "tpr@1e-2"), row(table, "bittorrent", "tpr@1e-2")
    assert 0 <= cover["rate"] < 0.05
    assert 0.1 < ours["rate"] < 0.6  # normal, 2 apart, at FPR 1e-2: 0.37


def test_roc_runs_from_nothing_to_everything() -> None:
    flows = corpus(sessions()).flows
    table = rates.roc(trial.run("rule", Rule(), flows, rotation(flows, 4)), "wire", seed=1)
    assert list(table.columns) == rates.ROC
    assert table[["fpr", "tpr"]].iloc[0].tolist() == [0.0, 0.0]
    assert table[["fpr", "tpr"]].iloc[-1].tolist() == [1.0, 1.0]
    assert (table[["fpr", "tpr"]].diff().iloc[1:] >= 0).all(axis=None)
    area = np.trapezoid(table["tpr"], table["fpr"])
    assert table["auc"].iloc[0] == pytest.approx(area)
    assert table["auc_low"].iloc[0] < area < table["auc_high"].iloc[0]


def test_roc_points_are_bounded() -> None:
    flows = corpus(sessions(38)).flows
    table = rates.roc(trial.run("rule", Rule(), flows, rotation(flows, 4)), "wire", seed=1)
    assert len(table) == rates.ROC_POINTS + 1
    assert table["tpr"].iloc[-1] == 1.0


@pytest.mark.parametrize(
    ("tpr", "fpr", "one_in", "wanted"),
    [(1.0, 0.01, 10, 1 / 1.1), (1.0, 0.01, 10**6, 1 / 10001), (0.5, 0.5, 10, 1 / 11), (1.0, 0.0, 10, 1.0)],
)
def test_precision(tpr: float, fpr: float, one_in: int, wanted: float) -> None:
    assert rates.precision(tpr, fpr, one_in) == pytest.approx(wanted)


def test_without_a_false_positive_the_precision_is_only_bounded() -> None:
    table = rates.base_rates(rated(sessions(gap=50.0, within=0.01)))
    flagged = table[table["metric"] == "flagged"].set_index("base_rate")
    assert list(flagged.index) == [10, 100, 1000, 10_000, 100_000, 1_000_000]
    assert flagged["precision"].isna().all()
    assert flagged.loc[1000, "precision_at_least"] == pytest.approx(1 / (1 + 1000 * 3 / 64))


def test_with_false_positives_the_precision_falls_with_the_base_rate() -> None:
    table = rates.base_rates(rated(sessions(gap=1.0)))
    flagged = table[table["metric"] == "flagged"]
    assert flagged["precision"].is_monotonic_decreasing
    assert (flagged["precision_at_least"] < flagged["precision"]).all()
    assert not table["metric"].str.startswith("tpr@").any()  # n too small: no precision either
