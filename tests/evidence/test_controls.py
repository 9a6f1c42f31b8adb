"""Each control comes out as it must, and would not if the protocol were broken."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest

from btresearch.detect.contract import answers, bittorrent, other
from btresearch.evidence import controls, leaks, trial
from btresearch.evidence.baselines import Dummy, IdentifierOnly
from btresearch.evidence.judge import protocol_names
from btresearch.evidence.separability import auc, auc_within
from btresearch.evidence.splits import Split, rotation, session_folds
from tests.evidence.made import Memory, corpus, session, sessions


@dataclass(frozen=True, kw_only=True)
class Nearest:
    """One nearest neighbour on `signal`: learns anything that there is, sessions included."""

    points: tuple[tuple[float, bool], ...] = ()
    name: str = "nearest"
    version: str = "1"
    cites: tuple[str, ...] = ()
    question: int = 2
    sees: tuple[str, ...] = ("signal",)
    needs: str = ""
    trained: bool = True

    def fit(self, flows: pd.DataFrame, truth: pd.Series, groups: pd.Series) -> Nearest:
        return replace(self, points=tuple(zip(flows["signal"], truth.str.startswith("bt"), strict=True)))

    def __call__(self, flows: pd.DataFrame) -> pd.DataFrame:
        at, hit = (np.array(part) for part in zip(*self.points, strict=True))
        near = hit[np.abs(flows["signal"].to_numpy()[:, None] - at[None]).argmin(axis=1)]
        return answers(flows.index, [bittorrent("near") if one else other("near") for one in near])


@pytest.fixture(scope="module")
def flows() -> pd.DataFrame:
    """Sessions that are easy to tell from each other, and classes too."""
    parts = sessions(gap=30.0, within=0.01)
    random = np.random.default_rng(2)
    for part in parts:
        part["signal"] += random.normal(0, 3)
    return corpus(parts).flows


@pytest.fixture(scope="module")
def table(flows: pd.DataFrame) -> pd.DataFrame:
    return controls.controls(flows, rotation(flows, 4), [Nearest()], "wire", seed=1, folds=4)


def one(table: pd.DataFrame, control: str, metric: str = "auc") -> pd.Series:
    found = table[(table["control"] == control) & (table["metric"] == metric)]
    assert len(found) == 1
    return found.iloc[0]


def test_the_table_has_every_control(table: pd.DataFrame) -> None:
    planted = {f"planted: {leaks.PLANTED}", f"planted: {leaks.NOISE}"}
    assert set(table["control"]) == {"dummy", "identifiers", "shuffled labels", "TLS against TLS"} | planted
    assert set(table["holds"].dropna()) == {True}


def test_the_dummy_flags_at_the_prior(table: pd.DataFrame) -> None:
    assert one(table, "dummy")["low"] < 0.5 < one(table, "dummy")["high"]
    assert one(table, "dummy", "flagged")["expected"] == "0.500 (the prior)"
    assert one(table, "dummy", "flagged")["value"] == pytest.approx(0.5, abs=0.15)


def test_the_detector_itself_is_far_from_chance(flows: pd.DataFrame) -> None:
    """Otherwise its controls at chance would say nothing."""
    tried = trial.run("nearest", Nearest(), flows, rotation(flows, 4))
    positive = (flows["truth_class"] == "bittorrent").to_numpy()
    assert auc(tried.scores, positive, flows["truth_session"].to_numpy(object), seed=1).value > 0.95


def shuffled_auc(flows: pd.DataFrame, splits: tuple[Split, ...], seed: int) -> float:
    labels, fold = (
        controls.shuffled(flows, session_folds(flows, 4), seed=seed),
        np.argmax([s.test for s in splits], axis=0),
    )
    tried = trial.run("nearest", Nearest(), flows, splits, truth=labels)
    return auc_within(tried.scores, labels.str.startswith("bt").to_numpy(), fold)


def test_shuffled_labels_are_at_chance_on_average(flows: pd.DataFrame) -> None:
    found = [shuffled_auc(flows, rotation(flows, 4), seed) for seed in range(20)]
    assert np.mean(found) == pytest.approx(0.5, abs=0.06)


def test_shuffled_labels_would_betray_a_leak_between_parts(flows: pd.DataFrame) -> None:
    """With flows of one session in training and test, the sessions' dealt labels can be learned."""
    odd, by_flow = np.arange(len(flows)) % 2 == 1, flows.index.astype(str).to_numpy(object)
    none = np.zeros(len(flows), bool)
    leaky = (Split(odd, none, ~odd, by_flow), Split(~odd, none, odd, by_flow))  # flows posing as sessions
    assert shuffled_auc(flows, leaky, 1) > 0.9


def test_shuffled_labels_keep_sessions_and_each_folds_share(flows: pd.DataFrame) -> None:
    fold = session_folds(flows, 4)
    labels = controls.shuffled(flows, fold, seed=1)
    assert (labels.groupby(flows["truth_session"]).nunique() == 1).all()
    before = protocol_names(flows).groupby(fold).value_counts().sort_index()
    assert labels.groupby(fold).value_counts().sort_index().equals(before.rename(labels.name))
    assert not labels.equals(protocol_names(flows))


def test_one_application_is_a_coin_toss(table: pd.DataFrame, flows: pd.DataFrame) -> None:
    tossed = one(table, "TLS against TLS")
    assert (tossed["sessions"], tossed["n"]) == (8, 32)
    assert "mail: half its sessions" in tossed["said"]
    kind, chosen = controls.one_application(flows)
    fold = session_folds(chosen, 2)
    labels = controls.halves(chosen, fold, seed=1)
    assert chosen["truth_session"].groupby([fold, labels]).nunique().tolist() == [2, 2, 2, 2]
    assert set(chosen["truth_class"]) == {"cover"}
    assert kind == "mail"


def test_too_few_sessions_for_a_coin_toss() -> None:
    random = np.random.default_rng(1)
    few = [session(f"web-{k:03d}", "cover", random=random) for k in range(3)]
    flows = corpus([*sessions()[:8], *few]).flows
    table = controls.controls(flows, rotation(flows, 4), [Nearest()], "wire", seed=1, folds=4)
    tossed = one(table, "TLS against TLS")
    assert tossed["holds"] is None
    assert "no application" in tossed["said"]


def test_identifiers_are_shown(flows: pd.DataFrame) -> None:
    ports = np.where(flows["truth_class"] == "bittorrent", 6881, 443)
    for dport, low, high in ((ports, 0.99, 1.0), (443, 0.2, 0.8)):
        changed = flows.assign(dport=dport)
        table = controls.controls(changed, rotation(flows, 4), [], "wire", seed=1, folds=4)
        shown = one(table, "identifiers")
        assert low <= shown["value"] <= high
        assert shown["holds"] is None
        assert "identifier_only" in set(table[table["control"] == "shuffled labels"]["detector"])


def test_baselines_abstain_before_they_are_fitted(flows: pd.DataFrame) -> None:
    for detector in (Dummy(), IdentifierOnly()):
        assert set(detector(flows)["verdict"]) == {"abstain"}


def test_the_interval_of_several_deals() -> None:
    area = controls.over_deals([0.49, 0.5, 0.51, np.nan])
    assert area.value == pytest.approx(0.5)
    assert area.high - area.value == pytest.approx(
        31.599 * 0.01 / np.sqrt(3), rel=1e-3
    )  # t with 2 degrees, 99.9 %
    assert controls.over_deals([0.9, 0.91, 0.9, 0.92]).low > 0.5
    assert np.isnan(controls.over_deals([0.5]).value)


def test_only_pairs_that_one_model_judged_count() -> None:
    scores, positive = np.array([0.9, 0.8, 0.2, 0.1]), np.array([True, False, True, False])
    fold = np.array([0, 0, 1, 1])
    assert auc_within(scores, positive, fold) == 1.0  # over all pairs it is 3 of 4
    assert np.isnan(auc_within(scores[:1], positive[:1], fold[:1]))


def test_the_memory_of_sessions_is_at_chance(flows: pd.DataFrame) -> None:
    table = controls.controls(flows, rotation(flows, 4), [Memory()], "wire", seed=1, folds=4)
    assert one(table, "shuffled labels")["value"] == 0.5
