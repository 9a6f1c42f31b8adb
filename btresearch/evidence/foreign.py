"""Captures made by others, a folder per class: what every rule says of them. Test data only: nothing learns here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd

from btresearch import flow
from btresearch.detect import Detector, run, select
from btresearch.errors import InputError

COLUMNS = ["class", "file", "detector", "flows", "asked", "named", "flagged", "abstained"]
CLASS = re.compile(r"[a-z0-9-]{1,40}")
NOT_TRUTH = ("robustness", "mixed")
SUFFIXES = {".pcap", ".pcapng", ".cap"}


def count(
    folder: Path, names: Iterable[str] | None = None, *, progress: Callable[[str], None] | None = None
) -> pd.DataFrame:
    """One row per class (folder), capture and rule: flows, those asked, and its verdicts on them.

    Half-open flows (TCP without a whole handshake, or without data from both ends) are abstained on by everybody: they
    count as `flows`, not as `asked`. Trained detectors are left out.

    Raises:
        InputError: `folder` holds no folder of captures.
    """
    rules = [d for d in select(None if names is None else list(names)) if not d.trained]
    classes = sorted(p for p in folder.iterdir() if _is_class(p)) if folder.is_dir() else []
    parts = []
    for place in classes:
        if progress:
            progress(f"class: {place.name}")
        parts += [_capture(place.name, path, rules) for path in _captures(place)]
    if not parts:
        raise InputError(folder, "a folder of captures per class, such as bt-mse or tls-web")
    return pd.concat(parts, ignore_index=True)[COLUMNS]


def _is_class(place: Path) -> bool:
    return place.is_dir() and CLASS.fullmatch(place.name) is not None and place.name not in NOT_TRUTH


def _captures(place: Path) -> list[Path]:
    return sorted(p for p in place.iterdir() if p.suffix in SUFFIXES)


def _capture(class_: str, path: Path, rules: list[Detector]) -> pd.DataFrame:
    flows = flow.read(path)
    asked = flows[~half_open(flows)]
    facts = {"class": class_, "file": path.name, "flows": len(flows), "asked": len(asked)}
    said = run(asked, rules) if len(asked) else pd.DataFrame(columns=["detector", "verdict"])
    rows = []
    for rule in rules:
        verdicts = said.loc[said["detector"] == rule.name, "verdict"]
        counts = {"named": "bittorrent", "flagged": "flagged", "abstained": "abstain"}
        rows.append(
            facts | {"detector": rule.name} | {k: int((verdicts == v).sum()) for k, v in counts.items()}
        )
    return pd.DataFrame(rows)


def half_open(flows: pd.DataFrame) -> pd.Series[bool]:
    """TCP flows in which one end never sent data; whoever needs the handshake as well abstains by itself."""
    both = (flows["payload_packets_c2s"] > 0) & (flows["payload_packets_s2c"] > 0)
    return (flows["proto"] == "tcp") & ~both


def by_class(table: pd.DataFrame) -> pd.DataFrame:
    """A row per rule, a column per class with the flows asked: "acted on", or "acted on (named)" where they differ."""
    sums = table.groupby(["class", "detector"])[["flows", "asked", "named", "flagged"]].sum().reset_index()
    sums["column"] = [
        f"{c} ({a} of {n})" for c, a, n in zip(sums["class"], sums["asked"], sums["flows"], strict=True)
    ]
    acted = sums["named"] + sums["flagged"]
    sums["cell"] = [str(a) if a == n else f"{a} ({n})" for a, n in zip(acted, sums["named"], strict=True)]
    wide = sums.pivot(index="detector", columns="column", values="cell")
    return wide.rename_axis(columns=None).reset_index()


def false_positives(table: pd.DataFrame) -> pd.DataFrame:
    """Captures of classes other than BitTorrent's on which a rule acts."""
    acted = table[(table["named"] + table["flagged"] > 0) & ~table["class"].str.startswith("bt-")]
    return acted[["class", "file", "detector", "asked", "named", "flagged"]].reset_index(drop=True)
