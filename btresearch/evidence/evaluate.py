"""The harness: docs/evaluation.md's protocol over a corpus, detector by detector."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from btresearch import __version__
from btresearch.detect import Detector, Trainable, select
from btresearch.errors import MissingTool
from btresearch.evidence import duplicates, leaks, prefixes, rates, thresholds, trial
from btresearch.evidence.controls import controls
from btresearch.evidence.corpus import Corpus
from btresearch.evidence.evaluation import Evaluation
from btresearch.evidence.judge import equipped
from btresearch.evidence.leave_one_out import leave_one_out
from btresearch.evidence.matrix import tally
from btresearch.evidence.splits import Split, rotation, sessions_of
from btresearch.evidence.trial import Trial

PACKETS = (5, 10, 20, 50, 100)
ENGINE_COLUMN = "raw_frames"

Say = Callable[[str], None]


def evaluate(
    corpus: Corpus,
    detectors: Iterable[str | Detector] | None = None,
    *,
    seed: int,
    folds: int = 4,
    packets: tuple[int, ...] = PACKETS,
    progress: Say | None = None,
) -> Evaluation:
    """Test `detectors` (names or Detectors, all registered ones when None) on `corpus` by the protocol.

    Sessions are dealt to `folds`; each fold is tested once, by models trained on sessions of others and with
    thresholds fixed on the sessions of a third part. `packets`: after how many packets to ask again (empty: don't;
    detectors that replay frames through an engine are never asked again). A detector whose tool is missing here is
    in `Evaluation.skipped`.

    Raises:
        UngroupedSplit: flows without a session, or fewer than three folds.
        DetectorError: an unknown detector.
    """
    say = progress or (lambda _: None)
    sessions_of(corpus.flows)
    repeated = duplicates.alike(corpus.flows)
    corpus_ = replace(corpus, flows=corpus.flows[~repeated].reset_index(drop=True))
    chosen = [equipped(one, corpus_) for one in select(None if detectors is None else list(detectors))]
    kinds = [
        _kind(str(kind), flows, chosen, _Plan(seed, folds, packets, say))
        for kind, flows in corpus_.flows.groupby("truth_capture_kind", sort=True)
    ]
    verdicts = _stacked([kind.verdicts for kind in kinds])
    rated = _stacked([kind.tables["rates"] for kind in kinds])
    tables = {name: _stacked([kind.tables[name] for kind in kinds]) for name in kinds[0].tables}
    return Evaluation(
        flows=corpus_.flows,
        verdicts=verdicts,
        counted=_counted(corpus_, verdicts, rated),
        base_rates=rates.base_rates(rated),
        duplicates=duplicates.table(corpus.flows, repeated),
        skipped=tuple(dict.fromkeys(line for kind in kinds for line in kind.skipped)),
        provenance=_provenance(corpus, verdicts, seed=seed, folds=folds, packets=packets),
        **tables,
    )


@dataclass(frozen=True)
class _Plan:
    seed: int
    folds: int
    packets: tuple[int, ...]
    say: Say


@dataclass(frozen=True)
class _Kind:
    """The results of one capture kind."""

    verdicts: pd.DataFrame
    tables: dict[str, pd.DataFrame]
    skipped: tuple[str, ...]


def _kind(kind: str, flows: pd.DataFrame, detectors: Sequence[Detector], plan: _Plan) -> _Kind:
    splits, seed = rotation(flows, plan.folds), plan.seed
    trials, skipped = _trials(flows, detectors, splits, plan.say)
    plan.say(f"{kind}: packets until the verdict")
    shortened = [(k, prefixes.cut(flows, k)) for k in plan.packets]
    asked_again = [one for one in trials if ENGINE_COLUMN not in one.detector.sees] if shortened else []
    plan.say(f"{kind}: leave one out, controls, leak audit")
    learning = [one for one in trials if not _fixed(one)]
    tables = {
        "rates": _stacked([rates.rates(one, kind, seed=seed) for one in trials], rates.RATES),
        "roc": _stacked([rates.roc(one, kind, seed=seed) for one in trials], rates.ROC),
        "packets": _stacked(
            [prefixes.until_verdict(one, kind, shortened) for one in asked_again], prefixes.COLUMNS
        ),
        "leave_one_out": _stacked([leave_one_out(one, kind, seed=seed) for one in learning]),
        "controls": controls(flows, splits, detectors, kind, seed=seed, folds=plan.folds),
        "leaks": leaks.audit(flows, kind, seed=seed, detectors=detectors),
    }
    return _Kind(_stacked([_verdicts(one) for one in trials]), tables, skipped)


def _trials(
    flows: pd.DataFrame, detectors: Sequence[Detector], splits: Sequence[Split], say: Say
) -> tuple[list[Trial], tuple[str, ...]]:
    done, skipped = [], []
    for detector in detectors:
        say(f"detector: {detector.name}")
        try:
            done += list(_variants(flows, detector, splits))
        except MissingTool as missing:
            skipped.append(f"{detector.name}: {missing}")
    return done, tuple(skipped)


def _variants(flows: pd.DataFrame, detector: Detector, splits: Sequence[Split]) -> Iterator[Trial]:
    if isinstance(detector, Trainable):
        yield trial.run(detector.name, detector, flows, splits, adaptive=False)
        yield trial.run(f"{detector.name}_adaptive", detector, flows, splits, adaptive=True)
    else:
        yield trial.run(detector.name, detector, flows, splits)


def _fixed(one: Trial) -> bool:
    """Whether it is the literature's model, which leaves whole transports out already."""
    return isinstance(one.detector, Trainable) and one.name == one.detector.name


def _verdicts(one: Trial) -> pd.DataFrame:
    out = one.answers.copy()
    out.insert(0, "row", out.index.to_numpy())
    out.insert(1, "detector", one.name)
    out.insert(2, "version", one.detector.version)
    return out


def _counted(corpus: Corpus, verdicts: pd.DataFrame, rated: pd.DataFrame) -> pd.DataFrame:
    """`matrix.tally` with the hits at frozen thresholds; those that may not be given are NaN."""
    counted = tally(corpus, verdicts, thresholds.METRICS)
    for metric in thresholds.METRICS:
        given = rated[(rated["metric"] == metric) & rated["rate"].notna()]
        known = pd.MultiIndex.from_frame(given[["detector", "capture"]])
        asked = pd.MultiIndex.from_frame(counted[["detector", "capture"]])
        counted[metric] = counted[metric].where(np.asarray(asked.isin(known)))
    return counted


def _stacked(tables: Sequence[pd.DataFrame], columns: Sequence[str] = ()) -> pd.DataFrame:
    some = [table for table in tables if len(table)]
    if some:
        return pd.concat(some, ignore_index=True)
    return tables[0] if tables else pd.DataFrame(columns=list(columns))


def _provenance(corpus: Corpus, verdicts: pd.DataFrame, **settings: Any) -> dict[str, Any]:
    pairs = verdicts[["detector", "version"]].drop_duplicates().itertuples(index=False, name=None)
    versions = dict(corpus.versions) | {"btresearch": __version__}
    versions |= {f"detector {name}": str(version) for name, version in pairs}
    return {"inputs_sha256": dict(corpus.inputs), "versions": versions} | settings
