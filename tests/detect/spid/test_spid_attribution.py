"""Thresholds swept, and what each meter contributes, on tables small enough to work out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from btresearch.detect import DetectorError
from btresearch.detect.spid import DETECTOR, SWEEP_BITS, ablation, contribution, sweep
from tests.detect.spid.test_spid_detector import flows_of

NAN = float("nan")
TRUTH = pd.Series(["bt_mse", "bt_mse", "bt_mse", "tls", "tls"], index=[3, 6, 9, 12, 15])
DISTANCES = pd.DataFrame(
    {
        "bt_mse": [1.0, 2.0, NAN, 1.9, 2.5],
        "bt_clear": [1.5, 1.8, NAN, 3.0, NAN],
        "tls": [3.0, 3.0, NAN, 2.1, 2.4],
    },
    index=TRUTH.index,
)


def row(table: pd.DataFrame, threshold: float, name: str) -> dict[str, object]:
    [found] = table[(table["threshold_bits"] == threshold) & (table["class"] == name)].to_dict("records")
    return found


def test_a_sweep_counts_each_class_at_each_threshold():
    table = sweep(DISTANCES, TRUTH, [1.0, 1.95, 2.45])
    assert len(table) == 3 * 2
    nothing = row(table, 1.0, "bt_mse")  # the threshold itself is too far
    assert (nothing["flows"], nothing["sessions"], nothing["unknown"], nothing["claimed"]) == (3, 2, 2, 0)
    assert np.isnan(nothing["precision"])
    some = row(table, 1.95, "bt_mse")  # the second flow is nearest to bt_clear, and one of TLS to bt_mse
    assert (some["named"], some["bittorrent"], some["claimed"]) == (1, 2, 2)
    assert (some["recall"], some["precision"]) == (0.5, 0.5)
    tls = row(table, 1.95, "tls")
    assert (tls["named"], tls["bittorrent"], tls["other"], tls["unknown"]) == (0, 1, 0, 1)
    assert row(table, 2.45, "tls")["named"] == 1, "a class that the flow's model does not know is no answer"


def test_the_sweep_runs_from_1_5_to_2_5():
    assert (SWEEP_BITS[0], SWEEP_BITS[-1], len(SWEEP_BITS)) == (1.5, 2.5, 21)
    table = sweep(DISTANCES, TRUTH)
    assert table["threshold_bits"].unique().tolist() == list(SWEEP_BITS)
    assert (table.groupby("class")["unknown"].diff().dropna() <= 0).all()
    assert (table["bittorrent"] + table["other"] + table["unknown"] == table["sessions"]).all()


def test_the_sweep_at_the_threshold_is_what_the_detector_answers():
    flows, truth = flows_of(range(40))
    model = DETECTOR.fit(flows[:40], truth[:40], truth[:40])
    swept = sweep(model.distances(flows), truth, [model.threshold]).set_index("class")
    answers = model(flows)["verdict"].groupby(truth).value_counts().unstack(fill_value=0)
    for verdict, column in (("bittorrent", "bittorrent"), ("other", "other"), ("abstain", "unknown")):
        expected = answers[verdict] if verdict in answers else answers.sum(axis=1) * 0
        assert swept[column].tolist() == expected.tolist()


# Two meters, three classes; the third flow has no session.
COLUMNS = pd.MultiIndex.from_product([["bt_mse", "http", "tls"], ["A", "B"]], names=["class", "meter"])
ONE = pd.Series(["bt_mse", "bt_mse", "bt_mse", "tls"], index=[2, 4, 6, 8])
DIVERGENCES = pd.DataFrame(
    [[1, 2, 3, 1, 5, 3], [2, 2, 1, 4, NAN, NAN], [NAN] * 6, [4, 4, 2, 6, 2, 1]],
    index=ONE.index,
    columns=COLUMNS,
)


def test_contribution_is_the_mean_of_each_meter():
    table = contribution(DIVERGENCES, ONE).set_index(["class", "meter"])
    assert table.loc[("bt_mse", "A")].to_dict() == {
        "flows": 2,
        "own_bits": 1.5,
        "others_bits": (4 + 1) / 2,
        "nearest_other_bits": (3 + 1) / 2,
        "alone": 0.5,
    }
    assert table.loc[("bt_mse", "B"), ["own_bits", "others_bits", "alone"]].tolist() == [
        2.0,
        (2 + 4) / 2,
        0.5,
    ]
    assert table.loc[("tls", "A"), ["flows", "own_bits", "others_bits", "nearest_other_bits", "alone"]].tolist() == [
        1, 2, 3, 2, 0,
    ]  # fmt: skip
    assert "http" not in table.index.get_level_values("class")


def test_ablation_leaves_out_one_meter_at_a_time():
    table = ablation(DIVERGENCES, ONE, 1.9).set_index(["left_out", "class"])
    assert sorted(set(table.index.get_level_values("left_out"))) == ["", "A", "B"]
    whole, without_a, without_b = (table.loc[(meter, "bt_mse")] for meter in ("", "A", "B"))
    # Own means 1.5 and 2.0, nearest others 2.0 and 2.5; then meter B alone, then A alone.
    assert (whole["named"], whole["unknown"], whole["margin_bits"]) == (1, 1, 0.5)
    assert (without_a["named"], without_a["other"], without_a["margin_bits"]) == (0, 1, (-1 + 2) / 2)
    assert (without_b["named"], without_b["other"], without_b["margin_bits"]) == (1, 1, (2 - 1) / 2)
    assert whole["sessions"] == 2 and whole["flows"] == 3


def test_one_class_alone_has_no_others():
    alone = DIVERGENCES[["bt_mse"]]
    found = contribution(alone, ONE)
    assert found["others_bits"].isna().all() and (found["alone"] == 1).all()
    assert ablation(alone, ONE, 2.0).query("`class` == 'bt_mse'")["margin_bits"].isna().all()


def test_they_take_what_a_fitted_model_gives():
    flows, truth = flows_of(range(12))
    model = DETECTOR.fit(flows, truth, truth)
    divergences = model.divergences(flows)
    assert len(contribution(divergences, truth)) == 2 * 15
    table = ablation(divergences, truth, model.threshold)
    assert len(table) == 16 * 2
    whole = table[table["left_out"] == ""].reset_index(drop=True)
    plain = sweep(model.distances(flows), truth, [model.threshold])
    pd.testing.assert_frame_equal(whole[plain.columns], plain)


def test_another_index_is_refused():
    for answer in (
        lambda: sweep(DISTANCES, TRUTH.reset_index(drop=True)),
        lambda: contribution(DIVERGENCES, ONE.reset_index(drop=True)),
        lambda: ablation(DIVERGENCES, ONE.reset_index(drop=True), 2.0),
    ):
        with pytest.raises(DetectorError, match="one index"):
            answer()
