"""A folder of labelled captures -> one flow table with its truth; what can't be used is named."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from btresearch import flow
from btresearch.capture import Capture, read_labels
from btresearch.errors import BtresearchError, InputError
from btresearch.flow.schema import SCHEMA_VERSION

KEY = ["proto", "src", "sport", "dst", "dport"]
TRUTH = [
    "session", "scenario", "class", "transport", "shape", "level", "client", "client_version",
    "server", "server_version", "role", "kind", "tls_library", "torrent", "profile", "seed",
]  # fmt: skip


@dataclass(frozen=True)
class Corpus:
    """Flows with their truth (columns `truth_*`), and what was left out.

    `inputs` maps a capture's name to its sha256, `refused` to the reason, `unlabelled` counts flows that no
    label claims (they are dropped), `duplicates` the flows dropped as identical to another.
    """

    flows: pd.DataFrame
    inputs: dict[str, str]
    refused: dict[str, str]
    unlabelled: int
    duplicates: int
    versions: dict[str, str]

    @property
    def infohashes(self) -> tuple[bytes, ...]:
        """Every torrent of the corpus: what a crawler of trackers and the DHT would know."""
        names = {t for t in self.flows["truth_torrent"].unique() if t}
        return tuple(sorted(bytes.fromhex(t) for t in names))


@dataclass(frozen=True)
class _Part:
    name: str
    sha256: str = ""
    refused: str = ""
    flows: pd.DataFrame | None = None
    unlabelled: int = 0
    versions: tuple[tuple[str, str], ...] = ()


def load(
    folder: Path,
    *,
    cache: Path | None = None,
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Corpus:
    """Read every capture below `folder`, join its labels, drop duplicates.

    A capture that dropped packets or whose hash does not match its manifest is refused and named in
    `Corpus.refused`. `cache` keeps flow tables by capture hash.

    Raises:
        InputError: no usable capture is there.
    """
    places = sorted(p.parent for p in folder.rglob("manifest.toml"))
    if not places:
        raise InputError(folder, "captures (folders with capture.pcapng, labels.parquet and manifest.toml)")
    parts = []
    for done, part in enumerate(_each(places, cache, jobs), 1):
        parts.append(part)
        if progress:
            progress(done, len(places))
    return _join(folder, parts)


def _each(places: list[Path], cache: Path | None, jobs: int) -> Iterable[_Part]:
    if jobs <= 1:
        yield from (_part(place, cache) for place in places)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(_part, places, [cache] * len(places))


def _part(place: Path, cache: Path | None) -> _Part:
    try:
        capture = Capture.open(place)
    except BtresearchError as error:
        return _Part(place.name, refused=str(error))
    if not capture.usable:
        return _Part(place.name, capture.sha256, refused="; ".join(capture.reasons))
    table = _flows(capture, cache)
    labelled, unlabelled = _label(table, read_labels(place / "labels.parquet"))
    labelled["truth_capture_kind"] = capture.manifest.kind
    labelled["truth_capture_name"] = place.name
    return _Part(
        place.name, capture.sha256, "", labelled, unlabelled, tuple(sorted(capture.manifest.tools.items()))
    )


def _flows(capture: Capture, cache: Path | None) -> pd.DataFrame:
    if cache is None:
        return flow.read(capture.path)
    kept = cache / f"{capture.sha256[:32]}-schema{SCHEMA_VERSION}.parquet"
    if kept.exists():
        return flow.from_parquet(kept)
    table = flow.read(capture.path)
    cache.mkdir(parents=True, exist_ok=True)
    partial = kept.with_suffix(".partial")
    flow.to_parquet(table, partial)
    partial.replace(kept)
    return table


def _label(table: pd.DataFrame, labels: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Join on the five-tuple in either direction (a UDP flow's first packet may come from the responder)."""
    forward = labels[KEY + TRUTH]
    swapped = forward.rename(columns={"src": "dst", "sport": "dport", "dst": "src", "dport": "sport"})
    both = pd.concat([forward, swapped], ignore_index=True).drop_duplicates(KEY)
    both = both.rename(columns={name: f"truth_{name}" for name in TRUTH})
    joined = table.merge(both, on=KEY, how="left", validate="many_to_one")
    known = joined["truth_class"].notna()
    return joined[known].reset_index(drop=True), int((~known).sum())


def _join(folder: Path, parts: list[_Part]) -> Corpus:
    tables = [p.flows for p in parts if p.flows is not None and len(p.flows)]
    if not tables:
        reasons = "; ".join(f"{p.name}: {p.refused or 'no labelled flow'}" for p in parts[:3])
        raise InputError(folder, f"at least one usable capture ({reasons})")
    flows = pd.concat(tables, ignore_index=True)
    identity = [
        _identity(row) for row in flows[["pkt_dir", "pkt_len", "first_payload_c2s"]].itertuples(index=False)
    ]
    repeated = pd.Series(identity).duplicated().to_numpy()
    versions = {name: version for p in parts for name, version in p.versions}
    return Corpus(
        flows=flows[~repeated].reset_index(drop=True),
        inputs={p.name: p.sha256 for p in parts if not p.refused},
        refused={p.name: p.refused for p in parts if p.refused},
        unlabelled=sum(p.unlabelled for p in parts),
        duplicates=int(repeated.sum()),
        versions=versions,
    )


def _identity(row: tuple[object, ...]) -> bytes:
    direction, length, first = row
    digest = hashlib.blake2b(np.asarray(direction, np.int8).tobytes(), digest_size=16)
    digest.update(np.asarray(length, np.int64).tobytes())
    digest.update(first if isinstance(first, bytes) else b"")
    return digest.digest()
