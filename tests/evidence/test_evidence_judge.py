"""No flow is judged by a model that saw its session; what can't be judged is said, not lost."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pandas as pd
import pytest

from btresearch.detect import DetectorError
from btresearch.detect.contract import answers, bittorrent, other
from btresearch.errors import MissingTool
from btresearch.evidence import judge
from btresearch.evidence.corpus import Corpus

SESSIONS = 6


@dataclass(frozen=True, kw_only=True)
class Spy:
    """A trainable detector that writes down what it was shown; `mark` is the session, hidden in a column."""

    log: list[tuple[frozenset[str], frozenset[str], frozenset[str]]] = field(default_factory=list)
    met: frozenset[str] = frozenset()
    classes: frozenset[str] = frozenset()
    name: str = "spy"
    version: str = "1"
    cites: tuple[str, ...] = ()
    question: int = 2
    sees: tuple[str, ...] = ("mark",)
    needs: str = ""
    trained: bool = True

    def fit(self, flows: pd.DataFrame, truth: pd.Series, groups: pd.Series) -> Spy:
        assert list(flows.columns) == ["mark"]
        assert flows.index.equals(truth.index)
        assert (flows["mark"] == groups).all()
        return replace(self, met=frozenset(groups), classes=frozenset(truth))

    def __call__(self, flows: pd.DataFrame) -> pd.DataFrame:
        assert list(flows.columns) == ["mark"]
        self.log.append((self.met, frozenset(flows["mark"]), self.classes))
        seen = (mark in self.met for mark in flows["mark"])
        return answers(flows.index, [bittorrent("met it") if yes else other("never met it") for yes in seen])


@dataclass(frozen=True, kw_only=True)
class Broken:
    """A detector whose tool is not installed."""

    name: str = "broken"
    version: str = "1"
    cites: tuple[str, ...] = ()
    question: int = 1
    sees: tuple[str, ...] = ("mark",)
    needs: str = ""
    trained: bool = False

    def __call__(self, flows: pd.DataFrame) -> pd.DataFrame:
        raise MissingTool("the engine", "pip install engine")


def truth(scenario: str, transport: str, class_: str, kind: str = "wire") -> pd.DataFrame:
    sessions = [f"{scenario}-{repeat:03d}" for repeat in range(SESSIONS) for _ in range(3)]
    table = pd.DataFrame({"truth_session": sessions, "mark": sessions})
    facts = {
        "scenario": scenario,
        "transport": transport,
        "class": class_,
        "capture_kind": kind,
        "torrent": "",
    }
    return table.assign(**{f"truth_{name}": value for name, value in facts.items()})


@pytest.fixture
def flows() -> pd.DataFrame:
    parts = [
        truth("lt", "mse_rc4", "bittorrent"),
        truth("btls", "btls_basic", "bittorrent"),
        truth("cover", "tls", "cover"),
        truth("pk", "tls", "cover", kind="packetised"),
    ]
    return pd.concat(parts, ignore_index=True).sample(frac=1, random_state=1).reset_index(drop=True)


@pytest.mark.parametrize("adaptive", [False, True])
def test_no_model_meets_a_session_that_it_judges(flows: pd.DataFrame, adaptive: bool) -> None:
    spy = Spy()
    verdicts = judge.cross_fitted(spy, flows, adaptive=adaptive)
    assert verdicts.index.equals(flows.index)
    assert set(verdicts["verdict"]) == {"other"}
    assert all(met and not met & judged for met, judged, _ in spy.log)
    assert frozenset().union(*(judged for _, judged, _ in spy.log)) == set(flows["mark"])


def test_only_the_adaptive_model_has_met_btls(flows: pd.DataFrame) -> None:
    fixed, adaptive = Spy(), Spy()
    judge.cross_fitted(fixed, flows, adaptive=False)
    judge.cross_fitted(adaptive, flows, adaptive=True)
    assert "bt_btls_basic" not in frozenset().union(*(classes for *_, classes in fixed.log))
    wire = [classes for met, _, classes in adaptive.log if "lt-000" in met]
    assert wire and all(classes == {"bt_mse_rc4", "bt_btls_basic", "tls"} for classes in wire)


def test_a_model_learns_from_captures_of_one_kind(flows: pd.DataFrame) -> None:
    spy = Spy()
    judge.cross_fitted(spy, flows, adaptive=True)
    for met, judged, _ in spy.log:
        assert len({name.startswith("pk-") for name in met | judged}) == 1


def test_a_lone_session_abstains_and_is_not_lost(flows: pd.DataFrame) -> None:
    lone = flows[flows["mark"] == "lt-000"].reset_index(drop=True)
    spy = Spy()
    verdicts = judge.cross_fitted(spy, lone, adaptive=True)
    assert list(verdicts["verdict"]) == ["abstain"] * 3
    assert "no other session" in verdicts["why"][0]
    assert spy.log == []


def corpus_of(flows: pd.DataFrame) -> Corpus:
    return Corpus(flows, {}, {}, 0, 0, {})


def test_a_missing_tool_is_skipped_with_its_line(flows: pd.DataFrame, monkeypatch) -> None:
    monkeypatch.setattr(judge, "select", lambda names: [Broken(), Spy()])
    table, skipped = judge.verdicts(corpus_of(flows))
    assert skipped == ("broken: the engine is not here: install pip install engine",)
    assert set(table["detector"]) == {"spy", "spy_adaptive"}
    assert len(table) == 2 * len(flows)


def test_a_run_in_which_every_tool_is_missing_still_ends_well(flows: pd.DataFrame, monkeypatch) -> None:
    monkeypatch.setattr(judge, "select", lambda names: [Broken()])
    table, skipped = judge.verdicts(corpus_of(flows))
    assert table.empty
    assert list(table.columns) == list(judge.TABLE)
    assert len(skipped) == 1


def test_an_unknown_detector_is_one_line(flows: pd.DataFrame) -> None:
    with pytest.raises(DetectorError, match="no detector 'nosuch'"):
        judge.verdicts(corpus_of(flows), ["nosuch"])
