"""Why every detector says what it says of one flow: its rule, the bytes that it rests on, and its reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from inspect import getdoc
from textwrap import indent
from typing import Any

import pandas as pd

from btresearch.detect import registry
from btresearch.detect.contract import Detector
from btresearch.detect.dissect import Section, sections
from btresearch.detect.npf import npf
from btresearch.errors import InputError
from btresearch.flow import HelloError, parse_client_hello

KEY = ("proto", "src", "sport", "dst", "dport")


@dataclass(frozen=True)
class Reason:
    """One detector's answer, with its rule, its sources, and the titles of the sections that it sees."""

    detector: str
    version: str
    verdict: str
    score: float
    why: str
    rule: str
    cites: tuple[str, ...]
    rests_on: tuple[str, ...]

    def __str__(self) -> str:
        """Some lines of plain text."""
        lines = [
            f"rule: {self.rule}",
            f"why: {self.why}",
            f"rests on: {', '.join(self.rests_on) or 'the counters'}",
        ]
        lines += [f"source: {source}" for source in self.cites]
        head = f"{self.detector} {self.version}: {self.verdict} ({self.score:.3f})"
        return "\n".join([head, *(f"  {line}" for line in lines)])


@dataclass(frozen=True)
class Explanation:
    """One flow: every reason, then the bytes. `str` of it is plain text; a notebook shows it as HTML."""

    capture: str
    flow_id: int
    key: str
    reasons: tuple[Reason, ...]
    sections: tuple[Section, ...]

    def __str__(self) -> str:
        """The whole as plain text."""
        parts = [f"flow {self.flow_id} of capture {self.capture[:16]}: {self.key}"]
        parts += [str(reason) for reason in self.reasons]
        parts += [f"{section.title}\n{indent(section.body, '  ')}" for section in self.sections]
        return "\n\n".join(parts)

    def _repr_html_(self) -> str:
        head = f"<h4>flow {self.flow_id} of capture {escape(self.capture[:16])}: {escape(self.key)}</h4>"
        cells = "".join(
            f"<tr><td>{escape(r.detector)}</td><td>{escape(r.verdict)}</td><td>{r.score:.3f}</td>"
            f"<td>{escape(r.why)}</td><td title='{escape('; '.join(r.cites), quote=True)}'>{escape(r.rule)}</td>"
            f"<td>{escape(', '.join(r.rests_on))}</td></tr>"
            for r in self.reasons
        )
        names = "".join(
            f"<th>{name}</th>" for name in ("detector", "verdict", "score", "why", "rule", "rests on")
        )
        blocks = "".join(
            f"<details><summary>{escape(s.title)}</summary><pre>{escape(s.body)}</pre></details>"
            for s in self.sections
        )
        return f"{head}<table><tr>{names}</tr>{cells}</table>{blocks}"


def explain(
    flows: pd.DataFrame,
    flow_id: int,
    names: Sequence[str | Detector] | None = None,
    *,
    capture: str = "",
) -> Explanation:
    """Explain one flow of a flow table; `capture` is the beginning of its capture's hash, if there are several.

    The detectors are asked about the flow's whole capture, since some look at other flows too.

    Raises:
        InputError: there is no such flow, or more than one.
    """
    chosen = flows[(flows["flow_id"] == flow_id) & flows["capture"].str.startswith(capture)]
    if len(chosen) != 1:
        count = f"{len(chosen)} captures have it: say CAPTURE:{flow_id}" if len(chosen) else "there is none"
        raise InputError("flow table", f"one flow {flow_id} of a capture {capture or '(any)'}; {count}")
    flow: dict[str, Any] = {str(name): cell for name, cell in chosen.iloc[0].items()}
    shown = (*sections(flow), *_npf(flow))
    beside = flows[flows["capture"] == flow["capture"]]
    position = beside.index.tolist().index(chosen.index[0])
    reasons = tuple(_reason(beside, position, detector, shown) for detector in registry.select(names))
    seen = {title for reason in reasons for title in reason.rests_on}
    return Explanation(
        flow["capture"],
        flow_id,
        _key(flow),
        reasons,
        tuple(section for section in shown if section.title in seen),
    )


def _reason(flows: pd.DataFrame, position: int, detector: Detector, shown: Sequence[Section]) -> Reason:
    answer = registry.run(flows, [detector]).iloc[position]
    return Reason(
        detector.name,
        detector.version,
        answer["verdict"],
        float(answer["score"]),
        answer["why"],
        (getdoc(type(detector)) or "").split("\n")[0],
        detector.cites,
        tuple(section.title for section in shown if set(section.columns) <= set(detector.sees)),
    )


def _npf(flow: Mapping[str, Any]) -> list[Section]:
    try:
        hello = parse_client_hello(bytes(flow["client_hello"]))
        return [Section(("client_hello", "ja4"), "NPF", npf(int(flow["tls_record_version"]), hello))]
    except HelloError:
        return []


def _key(flow: Mapping[str, Any]) -> str:
    proto, src, sport, dst, dport = (flow[name] for name in KEY)
    return f"{proto} {src}:{sport} -> {dst}:{dport}"
