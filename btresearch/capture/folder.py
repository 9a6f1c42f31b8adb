"""A capture on disk: a folder with capture.pcapng, labels.parquet and manifest.toml."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from os import PathLike
from pathlib import Path
from typing import Literal

import pandas as pd

from btresearch.capture.labels import read_labels
from btresearch.capture.manifest import Manifest, read_manifest, sha256_of
from btresearch.capture.reader import Reader, read
from btresearch.errors import InputError

CAPTURE_FILE = "capture.pcapng"
LABELS_FILE = "labels.parquet"
MANIFEST_FILE = "manifest.toml"


@dataclass(frozen=True, slots=True)
class Capture:
    """One labelled capture; `Capture.open(folder)` checks that its packets are those of the manifest."""

    folder: Path
    manifest: Manifest

    @classmethod
    def open(cls, folder: str | PathLike[str]) -> Capture:
        """Open a capture folder; raises `InputError` where it isn't whole or its SHA-256 differs."""
        path = Path(folder)
        for name in (MANIFEST_FILE, CAPTURE_FILE):
            if not (path / name).is_file():
                raise InputError(path, f"a capture folder with {name}")
        manifest = read_manifest(path / MANIFEST_FILE)
        found = sha256_of(path / CAPTURE_FILE)
        if found != manifest.sha256:
            raise InputError(
                path / CAPTURE_FILE, f"SHA-256 {manifest.sha256} as in the manifest, not {found}"
            )
        return cls(path, manifest)

    @property
    def path(self) -> Path:
        """The capture file."""
        return self.folder / CAPTURE_FILE

    @property
    def sha256(self) -> str:
        """SHA-256 of the capture file in hex."""
        return self.manifest.sha256

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why evidence must not use this capture; empty when it may."""
        return (f"{self.manifest.dropped} packets were dropped",) if self.manifest.dropped else ()

    @property
    def usable(self) -> bool:
        """Whether the capture lost no packet."""
        return not self.reasons

    def packets(self, *, on_damage: Literal["raise", "stop"] = "raise") -> Reader:
        """Read the packets; see `read`."""
        return read(self.path, on_damage=on_damage)

    def labels(self) -> pd.DataFrame:
        """Read the labels table."""
        return read_labels(self.folder / LABELS_FILE)

    def _repr_html_(self) -> str:
        manifest = self.manifest
        rows = {
            "scenario": manifest.scenario,
            "kind": manifest.kind,
            "packets": f"{manifest.packets:,}",
            "profile": manifest.profile or "-",
            "seed": str(manifest.seed),
            "sha256": manifest.sha256[:16],
            "usable": "yes" if self.usable else "no: " + "; ".join(self.reasons),
        }
        cells = "".join(f"<tr><th>{name}</th><td>{escape(value)}</td></tr>" for name, value in rows.items())
        return f"<table><caption>{escape(self.folder.name)}</caption>{cells}</table>"
