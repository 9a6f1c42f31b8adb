"""The ten features, the centres, and the order of the two inspections."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from btresearch.detect.contract import DetectorError
from btresearch.detect.dpi_dfi import DETECTOR, DpiDfi, features, learn
from tests.detect.wire import clear_conversation, flow, http_conversation, mse_conversation, table, talk


def test_the_ten_features_of_a_small_flow():
    found = features(([1, -1, 1, -1, 1], [0, 0, 0, 100, 50], [60, 60, 52, 152, 102]), 4)
    assert found.tolist() == [4, 81.0, 224, 324, 2, 112, 112, 2, 112, 212]


def test_too_few_packets_have_none():
    assert features(([1, -1, 1], [0, 0, 0], [60, 60, 52]), 20) is None
    assert features(([1, -1], [0], [60]), 20) is None


def corpus():
    rows, truth = [], []
    for seed in range(40):
        rows += [flow(**talk(mse_conversation(seed))), flow(**talk(http_conversation()))]
        truth += ["bt_mse_rc4", "http"]
    flows = table(rows)[list(DETECTOR.sees)]
    return flows, pd.Series(truth, index=flows.index), pd.Series("one", index=flows.index)


def test_it_learns_sizes_that_differ():
    flows, truth, groups = corpus()
    answer = DETECTOR.fit(flows, truth, groups)(flows)
    named = answer["verdict"].eq("bittorrent")
    assert named[truth.eq("bt_mse_rc4")].mean() > 0.9
    assert not named[truth.eq("http")].any()
    assert answer["why"].str.startswith("DFI: centre").all()


def test_a_signature_decides_before_the_centres_and_without_a_model():
    flows, truth, groups = corpus()
    clear = table([flow(**talk(clear_conversation()))])[list(DETECTOR.sees)]
    nothing_is_bittorrent = DETECTOR.fit(flows, truth.replace("bt_mse_rc4", "noise"), groups)
    for detector in (DETECTOR, nothing_is_bittorrent):
        assert detector(clear)["why"].tolist() == ["DPI: packet-bittorrent.c handshake"]


def test_what_it_abstains_on():
    flows, truth, groups = corpus()
    short = table([flow(**talk([])), flow(**talk(mse_conversation(1)) | {"proto": "udp"})])
    fitted = DETECTOR.fit(flows, truth, groups)
    assert fitted(short[list(DETECTOR.sees)])["verdict"].tolist() == ["abstain", "abstain"]
    assert DETECTOR(flows)["verdict"].eq("abstain").all()


def test_nothing_to_learn_from():
    empty = table([flow(**talk([]))])[list(DETECTOR.sees)]
    with pytest.raises(DetectorError, match="enough packets"):
        DETECTOR.fit(empty, pd.Series(["bt"], index=empty.index), pd.Series(["one"], index=empty.index))


@pytest.mark.parametrize("scaled", [True, False])
def test_centres_are_repeatable_and_the_nearest_is_the_nearest(scaled):
    points = np.random.default_rng(3).normal(size=(200, 10)) * np.arange(1, 11)
    positive = points[:, 0] > 0
    first, second = (learn(points, positive, scaled=scaled, seed=1) for _ in range(2))
    assert np.array_equal(first.at, second.at)
    x = points / first.scale
    by_hand = np.linalg.norm(x[:, None] - first.at[None], axis=2).argmin(axis=1)
    assert first.nearest(points).tolist() == by_hand.tolist()


def test_raw_features_are_an_option():
    flows, truth, groups = corpus()
    fitted = DpiDfi(scaled=False).fit(flows, truth, groups)
    assert fitted.centres is not None and (fitted.centres.scale == 1).all()
