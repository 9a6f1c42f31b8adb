"""Every registered detector against the contract, whatever the flow table holds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from btresearch.detect import Trainable, detectors, registry, run
from btresearch.detect.contract import TABLE, VERDICTS, WITHHELD, DetectorError, answers, other
from btresearch.errors import InputError, MissingTool
from btresearch.flow import SCHEMA
from tests.detect.wire import clear_conversation, flow, frames, mse_conversation, records, table, talk

FIRST = ("fet", "infohash_scan", "ndpi", "record_tail", "spid", "tls_fingerprint", "tstat_mse")
ALL = list(detectors().values())
every_detector = pytest.mark.parametrize("detector", ALL, ids=[d.name for d in ALL])


def rich_row(messages: Any) -> dict[str, Any]:
    raw = frames(messages)[:32]
    facts = talk(messages) | records([(-1, 30), (-1, 16401)] * 10 + [(1, 34)] * 10)
    names = {"ja4": "t13d1516h2_8daaf6152771_02713d6af862", "sni": "example.org", "alpn": "h2,http/1.1"}
    return flow(**facts, **names, raw_frames=raw, raw_t_ns=np.arange(len(raw)) * 10**6)


@pytest.fixture(scope="module")
def flows() -> pd.DataFrame:
    return table([rich_row(clear_conversation()), rich_row(mse_conversation(1)), flow(proto="udp")])


def fitted(detector: Any, flows: pd.DataFrame) -> Any:
    if not isinstance(detector, Trainable):
        return detector
    truth = pd.Series(["bt_clear", "bt_mse", "tls"][: len(flows)], index=flows.index, dtype=str)
    return detector.fit(flows[list(detector.sees)], truth, truth.rename("group"))


def test_the_first_seven_detectors_are_found():
    assert set(FIRST) <= set(detectors())
    assert all(module.isidentifier() for module in detectors())


@every_detector
def test_facts_are_complete(detector):
    assert detector.name and detector.version and detector.cites and detector.question in {1, 2, 3}
    assert set(detector.sees) <= set(SCHEMA.names)
    assert bool(detector.needs) == bool(set(detector.sees) & WITHHELD), "say why a withheld column is needed"
    assert detector.trained == isinstance(detector, Trainable)


@every_detector
def test_answers_keep_the_contract_with_declared_columns_only(detector, flows):
    seen = registry.narrow(flows, detector)
    assert list(seen.columns) == list(detector.sees)
    for model in (detector, fitted(detector, flows)):
        first, second = model(seen), model(seen)
        assert registry.check(model, seen, first) is first
        pd.testing.assert_frame_equal(first, second)


@every_detector
def test_empty_tables_and_single_flows(detector, flows):
    model = fitted(detector, flows)
    seen = registry.narrow(flows, detector)
    for part in (seen.iloc[:0], seen.iloc[1:2]):
        assert registry.check(model, part, model(part)).index.equals(part.index)


@every_detector
def test_one_flow_alone_gets_the_verdict_that_it_gets_among_others(detector, flows):
    if detector.question == 3:
        pytest.skip("a host's flows are judged together")
    model = fitted(detector, flows)
    seen = registry.narrow(flows, detector)
    alone = pd.concat([model(seen.iloc[i : i + 1]) for i in range(len(seen))])
    pd.testing.assert_frame_equal(alone, model(seen))


@every_detector
@pytest.mark.parametrize("hostile", [None, float("nan"), [], "", b"", [None]], ids=repr)
def test_hostile_cells_end_in_verdicts(detector, flows, hostile):
    model = fitted(detector, flows)
    for column in detector.sees:
        cells = pd.Series([hostile] * len(flows), index=flows.index, dtype=object)
        seen = registry.narrow(flows.assign(**{column: cells}), detector)
        assert set(registry.check(model, seen, model(seen))["verdict"]) <= set(VERDICTS)


def test_a_detector_that_touches_an_undeclared_column_fails(flows):
    @dataclass(frozen=True)
    class Peeker:
        name: str = "peeker"
        version: str = "1"
        cites: tuple[str, ...] = ("none",)
        question: int = 1
        sees: tuple[str, ...] = ("proto",)
        needs: str = ""
        trained: bool = False

        def __call__(self, flows: pd.DataFrame) -> pd.DataFrame:
            return answers(flows.index, [other(f"port {port}") for port in flows["dport"]])

    with pytest.raises(KeyError, match="dport"):
        run(flows, [Peeker()])
    honest = replace(Peeker(), sees=("dport",))
    assert (run(flows, [honest])["verdict"] == "other").all()


def test_the_verdict_table_names_capture_flow_detector_and_version(flows):
    verdicts = run(flows, ["fet", "tstat_mse"])
    assert list(verdicts.columns) == list(TABLE)
    assert len(verdicts) == 2 * len(flows)
    assert verdicts["flow_id"].tolist() == [0, 1, 2] * 2
    assert set(verdicts["detector"]) == {"fet", "tstat_mse"}


def test_a_missing_tool_abstains_with_the_package_and_the_others_go_on(flows, monkeypatch):
    def absent(*_: object) -> None:
        raise MissingTool("nDPI's engine (nfstream)", "pip install nfstream")

    monkeypatch.setattr("btresearch.detect.ndpi.Engine", absent)
    verdicts = run(flows, ["ndpi", "fet"])
    ndpi = verdicts[verdicts["detector"] == "ndpi"]
    assert (ndpi["verdict"] == "abstain").all() and ndpi["why"].str.contains("pip install nfstream").all()
    assert "flagged" in set(verdicts.loc[verdicts["detector"] == "fet", "verdict"])


def test_duplicates_strangers_and_missing_columns_are_refused(flows):
    module = ModuleType("somewhere")
    module.__dict__["DETECTOR"] = ALL[0]
    with pytest.raises(DetectorError, match="is there already"):
        registry.collect([module, module])
    module.__dict__["DETECTOR"] = object()
    with pytest.raises(DetectorError, match="lacks a part"):
        registry.collect([module])
    with pytest.raises(DetectorError, match=r"no detector 'nosuch'; there are .*fet"):
        run(flows, ["nosuch"])
    with pytest.raises(DetectorError, match="twice"):
        run(flows, ["fet", "fet"])
    with pytest.raises(InputError, match="first_payload_c2s"):
        run(flows.drop(columns="first_payload_c2s"), ["fet"])
