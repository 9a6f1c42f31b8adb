"""A split keeps sessions whole; one that doesn't is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from btresearch.evidence import trial
from btresearch.evidence.separability import auc
from btresearch.evidence.splits import (
    TORRENT_GROUPS,
    Split,
    UngroupedSplit,
    left_out,
    levels,
    rotation,
    session_folds,
)
from tests.evidence.made import Memory, corpus, session, sessions


@pytest.fixture(scope="module")
def flows() -> pd.DataFrame:
    return corpus(sessions()).flows


def test_every_flow_is_tested_once_and_parts_share_no_session(flows: pd.DataFrame) -> None:
    splits = rotation(flows, 4)
    assert (np.sum([split.test for split in splits], axis=0) == 1).all()
    for split in splits:
        parts = [set(flows["truth_session"][part]) for part in (split.train, split.validation, split.test)]
        assert all(parts)
        assert sum(map(len, parts)) == len(set().union(*parts)) == flows["truth_session"].nunique()
        assert {name.split("-")[0] for name in parts[2]} == {"lt", "own", "web", "mail"}


def test_a_split_by_flow_is_refused(flows: pd.DataFrame) -> None:
    odd = np.arange(len(flows)) % 2 == 1
    none = np.zeros(len(flows), bool)
    with pytest.raises(UngroupedSplit, match="capture session 'lt-000' would be in two parts"):
        Split(odd, none, ~odd, flows["truth_session"].to_numpy(object))
    with pytest.raises(UngroupedSplit):
        Split(none, odd, ~odd, flows["truth_session"].to_numpy(object))


@pytest.mark.parametrize("folds", [1, 2])
def test_too_few_folds_for_three_parts(flows: pd.DataFrame, folds: int) -> None:
    with pytest.raises(UngroupedSplit, match="training, validation and test"):
        rotation(flows, folds)


@pytest.mark.parametrize("name", ["", None, np.nan])
def test_flows_without_a_session_are_refused(flows: pd.DataFrame, name: object) -> None:
    with pytest.raises(UngroupedSplit, match="without a capture session"):
        rotation(flows.assign(truth_session=[name, *flows["truth_session"][1:]]), 4)
    with pytest.raises(UngroupedSplit, match="truth_session"):
        rotation(flows.drop(columns="truth_session"), 4)


def test_a_leak_across_sessions_would_have_inflated_the_result(flows: pd.DataFrame) -> None:
    """What the refusal is for: a memory of sessions is perfect by flow, and at a loss by session."""
    positive = (flows["truth_class"] == "bittorrent").to_numpy()
    names = flows["truth_session"].to_numpy(object)
    odd = np.arange(len(flows)) % 2 == 1
    model = Memory().fit(
        flows[odd], flows["truth_class"][odd].str[:2].replace("bi", "bt"), flows["mark"][odd]
    )
    leaked = model(flows[~odd])["score"].to_numpy()
    assert auc(leaked, positive[~odd], names[~odd], seed=1).value == 1.0
    grouped = trial.run("memory", Memory(), flows, rotation(flows, 4))
    assert auc(grouped.scores, positive, names, seed=1).value == 0.5


def test_a_left_out_client_is_left_out_at_both_ends() -> None:
    random = np.random.default_rng(1)
    flows = corpus(
        [
            session("aa-000", "bittorrent", random=random),
            session("ab-000", "bittorrent", random=random, truth_server="b"),
            session("bb-000", "bittorrent", random=random, truth_client="b", truth_server="b"),
            session("web-000", "cover", random=random),
        ]
    ).flows
    held = {level: set(flows["truth_session"][split.test]) for level, split in left_out(flows, "client")}
    trained = {level: set(flows["truth_session"][split.train]) for level, split in left_out(flows, "client")}
    assert held == {"a": {"aa-000", "ab-000"}, "b": {"ab-000", "bb-000"}, "web": {"web-000"}}
    assert trained["a"] == {"bb-000", "web-000"}


def test_nobody_learns_from_a_session_that_holds_the_level() -> None:
    """Flows of another client in the same session would tell what the session looks like."""
    random = np.random.default_rng(1)
    mixed = session(
        "mixed-000", "bittorrent", random=random, truth_client=["a", "a", "b", "b"], truth_server=""
    )
    flows = corpus(
        [mixed, session("bb-000", "bittorrent", random=random, truth_client="b", truth_server="b")]
    ).flows
    trained = {level: set(flows["truth_session"][split.train]) for level, split in left_out(flows, "client")}
    assert trained == {"a": {"bb-000"}, "b": set()}


def test_one_level_gives_no_split(flows: pd.DataFrame) -> None:
    assert levels(flows, "profile") == {}
    assert list(left_out(flows, "profile")) == []


def test_many_torrents_are_left_out_by_the_sessions_that_hold_them() -> None:
    parts = [
        part.assign(truth_torrent=[f"{name}-{k}" for k in range(len(part))])
        for part in sessions()
        for name in [part["truth_session"].iloc[0]]
        if part["truth_class"].iloc[0] == "bittorrent"
    ]
    flows = corpus(parts).flows
    splits = dict(left_out(flows, "torrent"))
    assert len(splits) == TORRENT_GROUPS
    for split in splits.values():
        assert not set(flows["truth_torrent"][split.train]) & set(flows["truth_torrent"][split.test])
        assert set(flows["truth_scenario"][split.train]) == {"lt", "own"}


def test_folds_deal_each_scenario_evenly(flows: pd.DataFrame) -> None:
    dealt = pd.crosstab(flows["truth_scenario"], session_folds(flows, 4))
    assert (dealt.to_numpy() == dealt.to_numpy()[0, 0]).all()
