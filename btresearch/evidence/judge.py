"""Detectors over a corpus: rules at once, trained ones by folds of whole capture sessions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from btresearch.detect import Detector, DetectorError, Trainable, select
from btresearch.detect.contract import abstain, answers, check
from btresearch.detect.infohash_scan import InfohashScan
from btresearch.detect.registry import narrow
from btresearch.errors import MissingTool, printable
from btresearch.evidence.corpus import Corpus
from btresearch.evidence.splits import session_folds

FOLDS = 4
TABLE = ("row", "detector", "version", "score", "verdict", "why")
NEVER_IN_FIXED_MODEL = ("btls_", "ssl_torrent")
"""The literature's model has never met these; the adaptive attacker (A3) has."""


def verdicts(
    corpus: Corpus, names: Iterable[str] | None = None, *, progress: Callable[[str], None] | None = None
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Judge every flow of `corpus` by every detector.

    A trained detector is fitted on sessions other than the flow's own, twice: as the literature's fixed model
    (its name) and as an adversary who trains on every transport (name + `_adaptive`).

    Returns: the verdict table (row, detector, version, score, verdict, why), where `row` indexes
    `corpus.flows`, and one line for each detector that this machine can't run.

    Raises:
        DetectorError: `names` holds one that is unknown.
    """
    tables, skipped = [pd.DataFrame(columns=list(TABLE))], []
    for detector in select(None if names is None else list(names)):
        if progress:
            progress(detector.name)
        try:
            tables += _tables(detector, corpus)
        except MissingTool as missing:
            skipped.append(f"{detector.name}: {missing}")
    return pd.concat(tables[1:] or tables, ignore_index=True), tuple(skipped)


def _tables(detector: Detector, corpus: Corpus) -> list[pd.DataFrame]:
    name, detector = detector.name, equipped(detector, corpus)
    if not isinstance(detector, Trainable):
        return [_table(name, detector, judge(detector, corpus.flows))]
    return [
        _table(name, detector, cross_fitted(detector, corpus.flows, adaptive=False)),
        _table(f"{name}_adaptive", detector, cross_fitted(detector, corpus.flows, adaptive=True)),
    ]


def equipped(detector: Detector, corpus: Corpus) -> Detector:
    """The detector with what its adversary would know: the scan for infohashes gets a crawler's list."""
    if isinstance(detector, InfohashScan):
        return replace(detector, infohashes=frozenset(corpus.infohashes))
    return detector


def judge(detector: Detector, flows: pd.DataFrame) -> pd.DataFrame:
    """Score, verdict and reason per flow, from the columns that the detector declares and no other.

    Raises:
        MissingTool: this machine lacks the detector's engine.
    """
    seen = narrow(flows, detector)
    return check(detector, seen, detector(seen))


def _table(name: str, detector: Detector, judged: pd.DataFrame) -> pd.DataFrame:
    out = judged[["score", "verdict", "why"]].copy()
    out.insert(0, "row", judged.index.to_numpy())
    out.insert(1, "detector", name)
    out.insert(2, "version", detector.version)
    return out


def cross_fitted(detector: Trainable, flows: pd.DataFrame, *, adaptive: bool) -> pd.DataFrame:
    """Verdicts in which no flow is judged by a model that saw its capture session.

    Folds are whole sessions, and a model learns from captures of the judged flow's kind alone (wire or
    packetised). A flow for which there is no other session to learn from gets `abstain`.
    """
    fold, truth = session_folds(flows, FOLDS), protocol_names(flows)
    usable, kinds, parts = learnable(flows, adaptive=adaptive), flows["truth_capture_kind"], []
    for (kind, k), judged in flows.groupby([kinds, fold]):
        train = flows[usable & (fold != k) & (kinds == kind)]
        parts.append(judge_with(fitted(detector, train, truth), judged))
    return pd.concat(parts).sort_index()


def learnable(flows: pd.DataFrame, *, adaptive: bool) -> NDArray[np.bool_]:
    """Which flows a model may learn from: all of them, or for the literature's those that it could have met."""
    if adaptive:
        return np.ones(len(flows), bool)
    met: NDArray[np.bool_] = ~flows["truth_transport"].str.startswith(NEVER_IN_FIXED_MODEL).to_numpy(bool)
    return met


def fitted(detector: Trainable, train: pd.DataFrame, truth: pd.Series[str]) -> Trainable | str:
    """The detector with a model of `train`, or why it can't have one."""
    if train.empty:
        return "no other session to learn from"
    try:
        return detector.fit(narrow(train, detector), truth[train.index], train["truth_session"])
    except DetectorError as error:
        return f"can't learn from the other sessions: {printable(str(error))}"


def judge_with(model: Detector | str, flows: pd.DataFrame) -> pd.DataFrame:
    """`judge`, or abstentions that say why there is no model."""
    if isinstance(model, str):
        return answers(flows.index, [abstain(model)] * len(flows))
    return judge(model, flows)


def protocol_names(flows: pd.DataFrame) -> pd.Series[str]:
    """`protocol_name` of every flow."""
    pairs = zip(flows["truth_class"], flows["truth_transport"], strict=True)
    names = [_protocol(str(class_), str(transport)) for class_, transport in pairs]
    return pd.Series(names, index=flows.index, dtype=object)


def protocol_name(row: pd.Series[Any]) -> str:
    """The protocol class that a flow trains: `bt_<transport>` or the cover's transport."""
    return _protocol(str(row["truth_class"]), str(row["truth_transport"]))


def _protocol(class_: str, transport: str) -> str:
    return f"bt_{transport}" if class_ == "bittorrent" else transport
