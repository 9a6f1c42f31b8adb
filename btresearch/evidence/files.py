"""A claim's files: table, figure and provenance."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from btresearch.evidence import figure
from btresearch.evidence.evidence import Evidence


def save(found: Evidence, out: Path) -> Evidence:
    """Write CLAIM.csv, .parquet, .json, .png and .svg into `out`, its other tables too; return it with its figures."""
    out.mkdir(parents=True, exist_ok=True)
    found.table.to_csv(out / f"{found.claim}.csv", index=False, float_format="%.6g")
    found.table.to_parquet(out / f"{found.claim}.parquet", index=False)
    for title, table in found.tables.items():
        table.to_csv(out / f"{found.claim}-{_slug(title)}.csv", index=False, float_format="%.6g")
    drawn = found
    if found.canvas is not None:
        drawn = replace(found, figures=figure.save(found.canvas, out / found.claim))
    (out / f"{found.claim}.json").write_text(drawn.provenance() + "\n", encoding="utf-8")
    return drawn


def _slug(title: str) -> str:
    words = title.partition(":")[0].lower().split()
    return "-".join("".join(c for c in word if c.isalnum()) for word in words)
