"""One self-contained index.html: figure, findings (failures first), table, provenance."""

from __future__ import annotations

from html import escape
from pathlib import Path

import pandas as pd

from btresearch.evidence.evidence import Evidence, Finding, data_uri

QUESTIONS = {
    1: "1: what the first packets give away",
    2: "2: what sizes, directions and times give away",
    3: "3: what a host's pattern of flows gives away",
}
STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#111}
table{border-collapse:collapse;font-size:13px}td,th{border:1px solid #bbb;padding:.25rem .5rem;text-align:left;
vertical-align:top}th{background:#eee}img{max-width:100%}.no{background:#fde8d0}.none{background:#eee}
td.n{text-align:right;font-variant-numeric:tabular-nums}details{margin:1rem 0}code{font-size:12px}
"""


def write(evidence: Evidence, path: Path) -> None:
    """Write the page; it needs no other file."""
    path.write_text(page(evidence), encoding="utf-8")


def page(evidence: Evidence) -> str:
    """The page as one string."""
    picture = evidence.figures.get("png")
    image = f'<img alt="{escape(evidence.title)}" src="{data_uri(picture)}">' if picture else ""
    notes = "".join(f"<li>{escape(n)}</li>" for n in evidence.notes)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>btresearch {evidence.claim}</title>'
        f"<style>{STYLE}</style><h1>{escape(evidence.claim)}: {escape(evidence.title)}</h1>"
        "<p>Three questions, never mixed: what the <b>first packets</b> give away, what the <b>shape of a flow</b> "
        "gives away, and what a <b>host's behaviour</b> gives away. TLS answers only the first. Predictions were "
        "written down before the first capture; those revised since say so in their caveat, and those that failed come "
        "first. Every rate is a lab rate.</p>"
        f"{_findings(evidence.findings)}<h2>Matrix</h2>{image}"
        "<p>rate = flagged / n. n: all flows of the cell, abstained ones too (where they are all of n, the rate of 0 "
        "says nothing). flagged: the detector would act; named: it says BitTorrent. low, high: exact 95 % interval "
        "as if flows were independent; session_low, session_high: from resampling whole capture sessions (a point at a "
        "rate of 0 or 1, where it says nothing).</p>"
        f"<details><summary>The table (E1.csv)</summary>{_table(evidence.table)}</details>"
        f"<h2>Limits and exclusions</h2><ul>{notes}</ul>"
        f"<details><summary>Input hashes, versions, seed</summary><pre>{escape(evidence.provenance())}</pre></details>"
        "</html>"
    )


def _findings(findings: tuple[Finding, ...]) -> str:
    head = "".join(
        f"<th>{h}</th>" for h in ("claim", "question", "adversary", "n", "result", "verdict", "caveat")
    )
    return f"<h2>Claims</h2><table><tr>{head}</tr>{''.join(_finding(f) for f in findings)}</table>"


def _finding(finding: Finding) -> str:
    colour = {False: "no", None: "none", True: ""}[finding.holds]
    cells = (
        finding.claim, QUESTIONS[finding.question], finding.adversary, str(finding.n),
        finding.result, finding.verdict, finding.caveat,
    )  # fmt: skip
    return f'<tr class="{colour}">' + "".join(f"<td>{escape(c)}</td>" for c in cells) + "</tr>"


def _table(table: pd.DataFrame) -> str:
    return table.to_html(index=False, border=0, float_format=lambda x: f"{x:.4f}")
