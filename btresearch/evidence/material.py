"""`Material`: what every claim is made from, computed once: labelled flows, verdicts, the harness's tables."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

import pandas as pd

from btresearch import __version__, detect
from btresearch.detect import Detector
from btresearch.evidence.claims import failures_first, findings, load
from btresearch.evidence.corpus import Corpus
from btresearch.evidence.corpus import load as load_corpus
from btresearch.evidence.evaluate import evaluate
from btresearch.evidence.evaluation import Evaluation
from btresearch.evidence.evidence import Finding
from btresearch.evidence.judge import judge, verdicts
from btresearch.evidence.matrix import tally

SEED = 20100727
TEXTS = ("verdict", "why")
Say = Callable[[str], None]
Measured = Mapping[str, tuple[float, int, str]]


@dataclass(frozen=True)
class Material:
    """A corpus with the verdicts of every detector, and the harness's evaluation where it was asked for.

    `judged` is the table of `judge.verdicts`, `skipped` names detectors that this machine can't run, `notes` are
    lines for the report, such as what could not be captured.
    """

    corpus: Corpus
    judged: pd.DataFrame = field(repr=False)
    skipped: tuple[str, ...] = ()
    seed: int = SEED
    notes: tuple[str, ...] = ()
    evaluation: Evaluation | None = field(default=None, repr=False)

    @property
    def flows(self) -> pd.DataFrame:
        """The labelled flows."""
        return self.corpus.flows

    @cached_property
    def counted(self) -> pd.DataFrame:
        """The verdicts by cell and session, see `matrix.tally`."""
        return tally(self.corpus, self.judged)

    @property
    def versions(self) -> dict[str, str]:
        """Versions of the programs that made the flows, of the detectors, and of this package."""
        pairs = self.judged[["detector", "version"]].drop_duplicates().itertuples(index=False, name=None)
        named = {f"detector {name}": str(version) for name, version in pairs}
        return self.corpus.versions | named | {"btresearch": __version__}

    def ask(self, detectors: Iterable[Detector]) -> pd.DataFrame:
        """A verdict table like `judged` from detectors with other parameters than the registered ones'."""
        tables = [_table(d, judge(d, self.flows)) for d in detectors]
        return pd.concat(tables, ignore_index=True)

    def of(self, names: Iterable[str]) -> pd.DataFrame:
        """The part of `judged` that some detectors gave."""
        return self.judged[self.judged["detector"].isin(list(names))]

    def check(self, group: str, counted: pd.DataFrame, values: Measured | None = None) -> tuple[Finding, ...]:
        """The claims of a `group`, failures first; `values` are (number, n, sentence) by claim id."""
        claims, given = load(group=group), values or {}
        found = list(findings(counted, seed=self.seed, claims=claims))
        for claim in claims:
            if claim.metric == "value":
                found.append(claim.measured(*given.get(claim.id, (float("nan"), claim.minimum_n, ""))))
        return failures_first(found)


def _table(detector: Detector, judged: pd.DataFrame) -> pd.DataFrame:
    named = judged.assign(row=judged.index, detector=detector.name, version=detector.version)
    return named[["row", "detector", "version", "score", "verdict", "why"]].reset_index(drop=True)


def gather(
    captures: Path,
    *,
    sessions: frozenset[str] | None = None,
    cache: Path | None = None,
    detectors: Iterable[str] | None = None,
    jobs: int = 1,
    seed: int = SEED,
    notes: tuple[str, ...] = (),
    protocol: bool = False,
    progress: Say | None = None,
) -> Material:
    """Judge every labelled flow below `captures` by every detector; with `protocol` the harness too.

    With `sessions`, captures of other names (left by an earlier plan) are passed over. `cache` keeps flow tables and
    verdicts; a change of the captures or of any detector's code makes the verdicts anew.

    Raises:
        InputError: `captures` holds no usable capture.
    """
    say = progress or (lambda _: None)
    corpus = load_corpus(
        captures,
        sessions=sessions,
        cache=cache,
        jobs=jobs,
        progress=lambda k, n: say(f"flows: {k} of {n} captures"),
    )
    judged, skipped = _verdicts(corpus, detectors, cache, say)
    evaluation = None
    if protocol:
        evaluation = evaluate(corpus, detectors, seed=seed, progress=lambda line: say(f"protocol: {line}"))
    return Material(corpus, judged, skipped, seed, notes, evaluation)


def _verdicts(
    corpus: Corpus, names: Iterable[str] | None, cache: Path | None, say: Say
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    chosen = None if names is None else sorted(names)
    kept = cache / f"verdicts-{_digest(corpus, chosen)}.parquet" if cache else None
    if kept and kept.exists():
        say("verdicts: kept ones")
        return pd.read_parquet(kept).astype(dict.fromkeys(TEXTS, object)), ()
    judged, skipped = verdicts(corpus, chosen, progress=lambda name: say(f"detector: {name}"))
    if kept and not skipped:  # a tool may be installed before the next run
        partial = kept.with_suffix(".partial")
        judged.to_parquet(partial, index=False)
        partial.replace(kept)
    return judged, skipped


def _digest(corpus: Corpus, names: list[str] | None) -> str:
    facts = [_code(), repr(names), *sorted(corpus.inputs.values())]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:32]


@cache
def _code() -> str:
    """A hash of everything that a verdict depends on beside the flows."""
    package = Path(detect.__file__).parent
    files = sorted(p for p in package.rglob("*") if p.suffix in {".py", ".toml"})
    files += [Path(__file__).with_name("judge.py"), Path(__file__).with_name("splits.py")]
    return hashlib.sha256(b"".join(p.read_bytes() for p in files)).hexdigest()
