"""The whole protocol in one call, on made flows and on the samples."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from btresearch.detect import DetectorError
from btresearch.detect.contract import answers, other
from btresearch.errors import MissingTool
from btresearch.evidence import Evaluation, claims, evaluate, load
from btresearch.evidence.corpus import Corpus
from btresearch.evidence.splits import UngroupedSplit
from tests.evidence.made import Memory, Rule, corpus, sessions

SAMPLES = Path(__file__).parents[2] / "captures"
COLUMNS = {
    "rates": "metric",
    "roc": "threshold",
    "base_rates": "base_rate",
    "controls": "expected",
    "leaks": "auc",
}


@dataclass(frozen=True, kw_only=True)
class Absent(Rule):
    """A rule whose engine is not installed."""

    name: str = "absent"

    def __call__(self, flows: pd.DataFrame) -> pd.DataFrame:
        raise MissingTool("the engine", "engine")


@pytest.fixture(scope="module")
def made() -> Corpus:
    return corpus(sessions(12, gap=30.0, flows=3))


@pytest.fixture(scope="module")
def found(made: Corpus) -> Evaluation:
    return evaluate(made, [Rule(), Memory(), Absent()], seed=1, packets=(5,))


def test_every_table_is_filled_and_tidy(found: Evaluation) -> None:
    for name in Evaluation.TABLES:
        table = getattr(found, name)
        assert len(table), name
        assert table.columns.is_unique
        assert COLUMNS.get(name, table.columns[0]) in table.columns
    assert set(found.rates["detector"]) == {"rule", "memory", "memory_adaptive"}
    assert set(found.leave_one_out["detector"]) == {"rule", "memory_adaptive"}


def test_a_missing_tool_is_named(found: Evaluation) -> None:
    assert found.skipped == ("absent: the engine is not here: install engine",)


def test_every_flow_has_one_verdict_from_each(found: Evaluation, made: Corpus) -> None:
    assert len(found.verdicts) == 3 * len(made.flows)
    assert not found.verdicts.duplicated(["row", "detector"]).any()


def test_what_may_not_be_given_is_not_counted_either(found: Evaluation) -> None:
    """72 negatives: too few for any of the three rates."""
    assert found.counted[["tpr@1e-2", "tpr@1e-3", "tpr@1e-4"]].isna().all(axis=None)
    claim = replace(claims.load()[0], detector="rule", where={"transport": "btls_basic"}, metric="tpr@1e-2")
    assert claim.check(found.counted).holds is None
    assert "n too small" in claim.check(found.counted).result


@pytest.mark.slow
def test_a_claim_at_a_frozen_threshold() -> None:
    found = evaluate(corpus(sessions(38, gap=30.0)), [Rule()], seed=1, packets=())
    claim = replace(claims.load()[0], detector="rule", where={"transport": "btls_basic"}, metric="tpr@1e-2")
    checked = claim.check(found.counted)
    assert checked.holds is True
    assert "304 of 304 found at a threshold for lab FPR 1e-2" in checked.result
    assert found.counted["tpr@1e-3"].isna().all()


def test_provenance_names_inputs_versions_and_seed(found: Evaluation, tmp_path: Path) -> None:
    files = found.save(tmp_path / "out")
    assert all(path.stat().st_size for path in files)
    assert {p.name for p in files} == {f"{t}.{e}" for t in Evaluation.TABLES for e in ("csv", "parquet")} | {
        "provenance.json"
    }
    record = json.loads((tmp_path / "out" / "provenance.json").read_text())
    assert record["inputs_sha256"] == {"made": "00"}
    assert record["versions"]["detector memory_adaptive"] == "1"
    assert (record["seed"], record["folds"], record["packets"]) == (1, 4, [5])
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out" / "rates.parquet"), found.rates)


def test_the_same_seed_gives_the_same_tables(made: Corpus, found: Evaluation) -> None:
    again = evaluate(made, [Rule(), Memory(), Absent()], seed=1, packets=(5,))
    for name in Evaluation.TABLES:
        pd.testing.assert_frame_equal(getattr(again, name), getattr(found, name))


def test_flows_without_sessions_are_refused(made: Corpus) -> None:
    loose = replace(made, flows=made.flows.assign(truth_session=""))
    with pytest.raises(UngroupedSplit):
        evaluate(loose, [Rule()], seed=1)
    with pytest.raises(UngroupedSplit, match="2 folds"):
        evaluate(made, [Rule()], seed=1, folds=2)


def test_an_unknown_detector_is_refused(made: Corpus) -> None:
    with pytest.raises(DetectorError, match="no detector 'nosuch'"):
        evaluate(made, ["nosuch"], seed=1)


@dataclass(frozen=True, kw_only=True)
class Spy(Memory):
    """Writes down the capture kinds that it was shown together."""

    kinds: list[frozenset[str]] = field(default_factory=list)
    sees: tuple[str, ...] = ("kind",)

    def fit(self, flows: pd.DataFrame, truth: pd.Series, groups: pd.Series) -> Spy:
        self.kinds.append(frozenset(flows["kind"]))
        return self

    def __call__(self, flows: pd.DataFrame) -> pd.DataFrame:
        self.kinds.append(frozenset(flows["kind"]))
        return answers(flows.index, [other("seen")] * len(flows))


def test_wire_and_packetised_never_meet(made: Corpus) -> None:
    kinds = np.where(np.arange(len(made.flows)) < 0, "", "wire")
    wire = made.flows.assign(truth_capture_kind=kinds, kind="wire")
    packetised = made.flows.assign(truth_capture_kind="packetised", kind="packetised")
    spy = Spy(name="spy")
    both = replace(made, flows=pd.concat([wire, packetised], ignore_index=True))
    found = evaluate(both, [spy], seed=1, packets=())
    assert {len(kind) for kind in spy.kinds} == {1}
    assert (found.rates.groupby("capture")["n"].sum().nunique(), set(found.leaks["capture"])) == (
        1,
        {"wire", "packetised"},
    )


@pytest.mark.slow
def test_the_samples_go_through() -> None:
    found = evaluate(load(SAMPLES), ["fet", "infohash_scan", "spid"], seed=1, folds=3, packets=(5, 20))
    mse = found.rates[(found.rates["transport"] == "mse_rc4") & (found.rates["metric"] == "flagged")]
    assert mse.set_index("detector").loc["fet", "rate"] > 0.8
    early = found.packets[(found.packets["detector"] == "fet") & (found.packets["transport"] == "mse_rc4")]
    assert early.set_index("packets").loc[5, "settled"] == early.set_index("packets").loc[0, "final"]
    assert "0 of" in " ".join(found.rates["said"])
    planted = found.controls[found.controls["control"].str.startswith("planted")]
    assert planted["holds"].tolist() == [True, True]
