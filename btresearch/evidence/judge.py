"""Detectors over a corpus: rules at once, trained ones by folds of whole capture sessions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from btresearch.detect import Detector, Trainable, select
from btresearch.detect.contract import abstain, answers, check
from btresearch.detect.infohash_scan import InfohashScan
from btresearch.detect.registry import narrow
from btresearch.errors import MissingTool
from btresearch.evidence.corpus import Corpus

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
    name = detector.name
    if isinstance(detector, InfohashScan):
        detector = replace(detector, infohashes=frozenset(corpus.infohashes))
    if not isinstance(detector, Trainable):
        return [_table(name, detector, judge(detector, corpus.flows))]
    return [
        _table(name, detector, cross_fitted(detector, corpus.flows, adaptive=False)),
        _table(f"{name}_adaptive", detector, cross_fitted(detector, corpus.flows, adaptive=True)),
    ]


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
    fold = session_folds(flows)
    truth = flows.apply(protocol_name, axis=1)
    usable = (
        np.ones(len(flows), bool)
        if adaptive
        else ~flows["truth_transport"].str.startswith(NEVER_IN_FIXED_MODEL)
    )
    kinds, parts = flows["truth_capture_kind"], []
    for (kind, k), judged in flows.groupby([kinds, fold]):
        train = flows[usable & (fold != k) & (kinds == kind)]
        parts.append(_fitted(detector, train, truth, judged))
    return pd.concat(parts).sort_index()


def _fitted(
    detector: Trainable, train: pd.DataFrame, truth: pd.Series[str], judged: pd.DataFrame
) -> pd.DataFrame:
    if train.empty:
        return answers(judged.index, [abstain("no other session to learn from")] * len(judged))
    fitted = detector.fit(narrow(train, detector), truth[train.index], train["truth_session"])
    return judge(fitted, judged)


def session_folds(flows: pd.DataFrame) -> NDArray[np.int64]:
    """Fold number per flow: the sessions of each scenario are dealt out in turn, each to one fold."""
    pairs = (
        flows[["truth_scenario", "truth_session"]]
        .drop_duplicates()
        .sort_values(["truth_scenario", "truth_session"])
    )
    pairs["fold"] = pairs.groupby("truth_scenario").cumcount() % FOLDS
    by_session = dict(zip(pairs["truth_session"], pairs["fold"], strict=True))
    return flows["truth_session"].map(by_session).to_numpy(dtype=np.int64)


def protocol_name(row: pd.Series[Any]) -> str:
    """The protocol class that a flow trains: `bt_<transport>` or the cover's transport."""
    transport = str(row["truth_transport"])
    return f"bt_{transport}" if row["truth_class"] == "bittorrent" else transport
