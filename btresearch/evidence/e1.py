"""E1: which published detector flags which transport (detector x transport matrix)."""

from __future__ import annotations

import pandas as pd

from btresearch.detect import detectors
from btresearch.evidence import figure, protocol, shortcuts, wording
from btresearch.evidence.evidence import Evidence
from btresearch.evidence.material import Material
from btresearch.evidence.matrix import matrix, merged

TITLE = "what published detectors see in clear text, MSE/PE, SSL torrents and btls"
LIMITS = (
    "Cover traffic is made by programs in this lab, not by people: every false-positive rate is a lab rate. "
    "Engines without a rule for a transport say nothing about engines whose rules are not public. Trained detectors "
    "learnt from other sessions of the same lab, which flatters them."
)


def evidence(material: Material) -> Evidence:
    """The matrix of every detector over every transport, and the claims of E1."""
    table = matrix(material.counted, seed=material.seed)
    table = table.sort_values("detector", key=lambda names: names.map(_question), kind="stable")
    summary = matrix(merged(material.counted), seed=material.seed)
    return Evidence(
        "E1",
        TITLE,
        table.reset_index(drop=True),
        material.check("E1", material.counted),
        material.corpus.inputs,
        material.versions,
        material.seed,
        (*_notes(material), *material.notes),
        paragraph=_paragraph(summary),
        limits=LIMITS,
        summary=wording.by_detector(summary),
        tables=protocol.tables(material.evaluation),
        canvas=figure.figure(table),
    )


def _question(detector: str) -> int:
    known = detectors().get(detector.removesuffix("_adaptive"))
    return known.question if known else 0


def _paragraph(summary: pd.DataFrame) -> str:
    acting = {
        str(name): sorted(group.loc[group["flagged"] > 0, "detector"].unique())
        for name, group in wording.traffic(summary).groupby("traffic", sort=False)
    }
    total = summary["detector"].nunique()
    told = [f"{name}: {len(names)} ({', '.join(names) or 'none'})" for name, names in acting.items()]
    return f"Of {total} detectors these act on at least one flow. " + "; ".join(told) + "."


def _notes(material: Material) -> tuple[str, ...]:
    corpus = material.corpus
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
    return tuple(notes + [f"detector skipped: {line}" for line in material.skipped])
