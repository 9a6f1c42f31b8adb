"""index.html: one self-contained page of every claim; the predictions that failed come first."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

import pandas as pd

from btresearch.evidence.claims import failures_first
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
td.n{text-align:right;font-variant-numeric:tabular-nums}details{margin:1rem 0;overflow-x:auto}code{font-size:12px}
"""
COLUMNS = (
    "rate = flagged / n. n: all flows of the cell, abstained ones too (where they are all of n, the rate of 0 says "
    "nothing). flagged: the detector would act; named: it says BitTorrent. low, high: exact 95 % interval as if flows "
    "were independent; session_low, session_high: from resampling whole capture sessions (a point at a rate of 0 or "
    "1, where it says nothing)."
)
INTRODUCTION = (
    "Three questions, never mixed: what the <b>first packets</b> give away, what the <b>shape of a flow</b> gives "
    "away, and what a <b>host's behaviour</b> gives away. TLS answers only the first. Predictions were written down "
    "before the first capture; those revised since say so in their caveat, and those that failed come first. Every "
    "rate is a lab rate."
)


def write(found: Sequence[Evidence], path: Path) -> None:
    """Write the page; it needs no other file."""
    path.write_text(page(found), encoding="utf-8")


def page(found: Sequence[Evidence]) -> str:
    """The page as one string."""
    every = failures_first([finding for one in found for finding in one.findings])
    contents = ", ".join(f'<a href="#{one.claim}">{one.claim}</a> {escape(one.title)}' for one in found)
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>btresearch: the evidence</title>'
        f"<style>{STYLE}</style><h1>What a censor sees of BitTorrent over TLS</h1><p>{INTRODUCTION}</p>"
        f"<p>{_score(every)} {contents}.</p><h2>Predicted and found</h2>{_findings(every)}"
        f"{''.join(map(_section, found))}</html>"
    )


def _score(findings: Sequence[Finding]) -> str:
    held = [finding.holds for finding in findings]
    return (
        f"{len(held)} predictions: {held.count(False)} not as predicted, {held.count(True)} as predicted, "
        f"{held.count(None)} not measured."
    )


def _section(one: Evidence) -> str:
    picture = one.figures.get("png")
    image = f'<img alt="{escape(one.title)}" src="{data_uri(picture)}">' if picture else ""
    notes = "".join(f"<li>{escape(n)}</li>" for n in one.notes)
    beside = "".join(
        f"<details><summary>{escape(title)}</summary>{_table(table)}</details>"
        for title, table in one.tables.items()
    )
    return (
        f'<h2 id="{one.claim}">{escape(one.claim)}: {escape(one.title)}</h2>{image}'
        f"<p>{escape(one.paragraph)}</p><p><i>Limits.</i> {escape(one.limits)}</p>"
        f"<details><summary>The table ({one.claim}.csv)</summary><p>{COLUMNS}</p>{_table(one.table)}</details>"
        f"{beside}<ul>{notes}</ul><details><summary>Input hashes, versions, seed</summary>"
        f"<pre>{escape(one.provenance())}</pre></details>"
    )


def _findings(findings: Sequence[Finding]) -> str:
    heads = ("id", "claim", "question", "adversary", "n", "result", "verdict", "caveat")
    head = "".join(f"<th>{h}</th>" for h in heads)
    return f"<table><tr>{head}</tr>{''.join(map(_finding, findings))}</table>"


def _finding(finding: Finding) -> str:
    colour = {False: "no", None: "none", True: ""}[finding.holds]
    cells = (
        finding.id, finding.claim, QUESTIONS[finding.question], finding.adversary, str(finding.n),
        finding.result, finding.verdict, finding.caveat,
    )  # fmt: skip
    return f'<tr class="{colour}">' + "".join(f"<td>{escape(c)}</td>" for c in cells) + "</tr>"


def _table(table: pd.DataFrame) -> str:
    return table.to_html(index=False, border=0, float_format=lambda x: f"{x:.4f}", na_rep="")
