"""E1: which published detector flags which transport (detector x transport matrix)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pandas as pd

from btresearch import __version__
from btresearch.evidence import claims, figure, report, shortcuts
from btresearch.evidence.corpus import Corpus, load
from btresearch.evidence.evidence import Evidence
from btresearch.evidence.judge import verdicts
from btresearch.evidence.matrix import matrix, tally

TITLE = "what published detectors see in clear text, MSE/PE, SSL torrents and btls"
SEED = 20100727


def evidence(
    captures: Path,
    *,
    sessions: frozenset[str] | None = None,
    cache: Path | None = None,
    detectors: Iterable[str] | None = None,
    jobs: int = 1,
    seed: int = SEED,
    notes: tuple[str, ...] = (),
    progress: Callable[[str], None] | None = None,
) -> Evidence:
    """Judge every labelled flow below `captures` by every detector and check the claims of E1.

    With `sessions`, captures of other names (left by an earlier plan) are passed over. `notes` are lines for the
    report, such as what could not be captured.

    Raises:
        InputError: `captures` holds no usable capture.
    """
    say = progress or (lambda _: None)
    corpus = load(
        captures,
        sessions=sessions,
        cache=cache,
        jobs=jobs,
        progress=lambda k, n: say(f"flows: {k} of {n} captures"),
    )
    judged, skipped = verdicts(corpus, detectors, progress=lambda name: say(f"detector: {name}"))
    counted = tally(corpus, judged)
    table = matrix(counted, seed=seed)
    versions = dict(corpus.versions) | {"btresearch": __version__}
    versions |= {f"detector {name}": str(version) for name, version in _versions(judged)}
    return Evidence(
        "E1",
        TITLE,
        table,
        claims.findings(counted, seed=seed),
        corpus.inputs,
        versions,
        seed,
        (*_notes(corpus, skipped), *notes),
    )


def _versions(judged: pd.DataFrame) -> Iterable[tuple[str, str]]:
    return judged[["detector", "version"]].drop_duplicates().itertuples(index=False, name=None)


def _notes(corpus: Corpus, skipped: tuple[str, ...]) -> tuple[str, ...]:
    kinds = ", ".join(sorted(corpus.flows["truth_capture_kind"].unique()))
    sessions = corpus.flows["truth_session"].nunique()
    notes = [
        f"{len(corpus.flows)} labelled flows of {sessions} capture sessions; capture kind: {kinds}.",
        f"{corpus.duplicates} flows dropped as identical to another (same sizes, directions and first payload).",
        f"{corpus.alike} of those kept send the same sequence of payload sizes as another.",
        f"{corpus.unlabelled} flows that no actor claimed were dropped; {corpus.unseen} claimed flows left no packet.",
        "Flows of one session are not independent: session_low and session_high resample whole sessions.",
        "Cover traffic is made by programs in this lab, not by people: false-positive rates are lab rates.",
    ]
    if "packetised" in kinds:
        notes.append(
            "Packetised captures are built from recorded socket reads and writes: no loss, no real RTT."
        )
    notes += shortcuts.notes(corpus.flows)
    notes += [f"capture refused: {name}: {reason}" for name, reason in corpus.refused.items()]
    return tuple(notes + [f"detector skipped: {line}" for line in skipped])


def write(found: Evidence, out: Path) -> Evidence:
    """Write E1.csv, E1.parquet, E1.png, E1.svg, E1.json and index.html into `out`; return it with its figures."""
    out.mkdir(parents=True, exist_ok=True)
    found.table.to_csv(out / "E1.csv", index=False, float_format="%.6g")
    found.table.to_parquet(out / "E1.parquet", index=False)
    drawn = replace(found, figures=figure.save(figure.figure(found.table), out / "E1"))
    (out / "E1.json").write_text(drawn.provenance() + "\n", encoding="utf-8")
    report.write(drawn, out / "index.html")
    return drawn
