"""The observations of one host, and the differences between two."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from btresearch.probe.observation import Observation

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Report:
    """By probe, in the suite's order."""

    address: str
    observations: dict[str, Observation]

    def frame(self) -> pd.DataFrame:
        """One row a probe; columns probe and those of `Observation`, tuples joined."""
        return _frame(
            [
                {"probe": name, **{field: _cell(value) for field, value in seen.as_dict().items()}}
                for name, seen in self.observations.items()
            ]
        )

    def text(self) -> str:
        """A line a probe."""
        return "\n".join(f"{name}: {seen}" for name, seen in self.observations.items())

    def json(self) -> str:
        """One JSON object."""
        seen = {name: one.as_dict() for name, one in self.observations.items()}
        return json.dumps({"address": self.address, "observations": seen}, indent=1)


@dataclass(frozen=True)
class Row:
    """One probe at two hosts; `fields` are the names of what differs."""

    probe: str
    ours: Observation
    theirs: Observation
    fields: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Nothing differs."""
        return not self.fields


@dataclass(frozen=True)
class Comparison:
    """Probe by probe; `residual` is what a prober could tell the hosts apart by."""

    ours: str
    theirs: str
    rows: tuple[Row, ...]

    @property
    def residual(self) -> tuple[Row, ...]:
        """The rows that differ; the target is none."""
        return tuple(row for row in self.rows if not row.equal)

    def frame(self) -> pd.DataFrame:
        """One row a probe: probe, equal, differs_in, ours, theirs."""
        return _frame(
            [
                {
                    "probe": row.probe,
                    "equal": row.equal,
                    "differs_in": " ".join(row.fields),
                    "ours": str(row.ours),
                    "theirs": str(row.theirs),
                }
                for row in self.rows
            ]
        )

    def json(self) -> str:
        """One JSON object."""
        rows = [
            {
                "probe": row.probe,
                "equal": row.equal,
                "differs_in": row.fields,
                "ours": row.ours.as_dict(),
                "theirs": row.theirs.as_dict(),
            }
            for row in self.rows
        ]
        return json.dumps({"ours": self.ours, "theirs": self.theirs, "probes": rows}, indent=1)

    def text(self) -> str:
        """A line a probe, three for one that differs, and the count."""
        lines: list[str] = []
        for row in self.rows:
            lines.append(f"{'=' if row.equal else '!'} {row.probe}")
            for field in row.fields:
                lines.append(f"    {field}: ours   {_cell(getattr(row.ours, field)) or '-'}")
                lines.append(f"    {field}: theirs {_cell(getattr(row.theirs, field)) or '-'}")
        lines.append(f"{len(self.rows)} probes, {len(self.residual)} differ")
        return "\n".join(lines)


def compare(ours: Report, theirs: Report) -> Comparison:
    """Set two reports against each other, by the probes that both have."""
    shared = [name for name in ours.observations if name in theirs.observations]
    rows = [_row(name, ours.observations[name], theirs.observations[name]) for name in shared]
    return Comparison(ours.address, theirs.address, tuple(rows))


def _row(name: str, ours: Observation, theirs: Observation) -> Row:
    mine, other = ours.as_dict(), theirs.as_dict()
    return Row(name, ours, theirs, tuple(field for field in mine if mine[field] != other[field]))


def _cell(value: object) -> str:
    return " / ".join(value) if isinstance(value, tuple) else str(value)


def _frame(rows: list[dict[str, object]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(rows)
