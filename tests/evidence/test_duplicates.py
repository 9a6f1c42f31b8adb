"""Identical sequences go before the split, and only within one label."""

from __future__ import annotations

import numpy as np
import pandas as pd

from btresearch.evidence import duplicates, evaluate
from tests.evidence.made import Rule, corpus, session, sessions


def twice() -> pd.DataFrame:
    """A session whose flows are another session's again, with other bytes."""
    random = np.random.default_rng(3)
    first = session("lt-000", "bittorrent", random=random)
    again = first.assign(truth_session="lt-001", first_payload_c2s=b"other bytes")
    cover = first.assign(
        truth_session="web-000", truth_class="cover", truth_transport="tls", truth_kind="web"
    )
    return pd.concat([first, again, cover], ignore_index=True)


def test_the_sequence_counts_not_the_bytes() -> None:
    flows = twice()
    assert duplicates.alike(flows).tolist() == [False] * 4 + [True] * 4 + [False] * 4
    assert duplicates.exact(flows).tolist() == [False] * 8 + [True] * 4


def test_empty_packets_are_no_part_of_a_sequence() -> None:
    flows = twice().iloc[:1]
    bare = flows.copy()
    bare["pkt_len"] = [np.append(flows["pkt_len"].iloc[0], 0)]
    bare["pkt_dir"] = [np.append(flows["pkt_dir"].iloc[0], 1)]
    assert duplicates.sequences(flows) == duplicates.sequences(bare)


def test_cover_that_looks_like_bittorrent_stays() -> None:
    assert not duplicates.alike(twice())[8:].any()


def test_capture_kinds_are_apart() -> None:
    flows = twice()
    flows["truth_capture_kind"] = ["wire"] * 4 + ["packetised"] * 8
    assert not duplicates.alike(flows).any()


def test_the_rate_is_reported_and_the_flows_are_gone() -> None:
    parts = sessions()
    copy = parts[0].assign(truth_session="lt-100", mark="lt-100")
    found = evaluate(corpus([*parts, copy]), [Rule()], seed=1, packets=())
    table = found.duplicates.groupby("class")[["n", "duplicates"]].sum()
    assert table.loc["bittorrent"].tolist() == [68, 4]
    assert table.loc["cover"].tolist() == [64, 0]
    assert found.duplicates["rate"].max() == 4 / 68
    assert len(found.flows) == 128
    assert "lt-100" not in set(found.flows["truth_session"])
