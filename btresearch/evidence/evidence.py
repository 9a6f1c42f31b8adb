"""`Evidence`: one claim's table, figure and sentences, with what they were made from."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure


@dataclass(frozen=True)
class Finding:
    """One sentence of the evidence: what was predicted, what was found, and what it can't say."""

    id: str
    question: int
    adversary: str
    claim: str
    n: int
    result: str
    holds: bool | None
    caveat: str

    @property
    def verdict(self) -> str:
        """`as predicted`, `not as predicted`, or `not measured`."""
        return {True: "as predicted", False: "NOT as predicted", None: "not measured"}[self.holds]


@dataclass(frozen=True)
class Evidence:
    """A claim's table and figure with the hashes, versions and seed that they come from.

    `paragraph` and `limits` say in words what the table holds; `summary` is the table as small as the paper prints
    it, `tables` are those beside it, by their title. `canvas` is the figure, `figures` its files once saved.
    """

    claim: str
    title: str
    table: pd.DataFrame
    findings: tuple[Finding, ...]
    inputs: Mapping[str, str]
    versions: Mapping[str, str]
    seed: int
    notes: tuple[str, ...] = ()
    figures: Mapping[str, Path] = field(default_factory=dict)
    paragraph: str = ""
    limits: str = ""
    summary: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False)
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict, repr=False)
    canvas: Figure | None = field(default=None, repr=False)

    def provenance(self) -> str:
        """JSON of the input hashes (sha256 by capture), detector versions and seed."""
        record = {
            "claim": self.claim,
            "seed": self.seed,
            "inputs_sha256": dict(self.inputs),
            "versions": dict(self.versions),
            "notes": list(self.notes),
        }
        return json.dumps(record, indent=1, sort_keys=True)

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<li><b>{escape(f.id)}</b> {escape(f.claim)} <i>{f.verdict}</i>: {escape(f.result)}</li>"
            for f in self.findings
        )
        picture = self.figures.get("png")
        image = f'<img alt="{escape(self.title)}" src="{data_uri(picture)}">' if picture else ""
        return f"<h3>{self.claim}: {escape(self.title)}</h3>{image}<ul>{rows}</ul>"


def data_uri(picture: Path) -> str:
    """The PNG at `picture` as a data URI, so that a page needs no second file."""
    return "data:image/png;base64," + base64.b64encode(picture.read_bytes()).decode()
