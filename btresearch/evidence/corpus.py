"""A folder of labelled captures -> one flow table with its truth; what can't be used is named."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from btresearch import flow
from btresearch.capture import Capture, Manifest
from btresearch.capture.annotate import EARLY_NS
from btresearch.capture.folder import LABELS_FILE
from btresearch.errors import BtresearchError, InputError
from btresearch.evidence import duplicates
from btresearch.flow.schema import SCHEMA_VERSION

log = logging.getLogger(__name__)

KEY = ["proto", "src", "sport", "dst", "dport"]
TRUTH = [
    "session", "scenario", "class", "transport", "shape", "level", "client", "client_version",
    "server", "server_version", "role", "kind", "tls_library", "torrent", "profile", "seed",
]  # fmt: skip


@dataclass(frozen=True)
class Corpus:
    """Flows with their truth (columns `truth_*`), and what was left out.

    `inputs` maps a capture's name to its sha256, `refused` to the reason, `unlabelled` counts flows that no
    label claims (they are dropped), `duplicates` the flows dropped as identical to another, `unseen` the labels
    without a flow in their capture.
    """

    flows: pd.DataFrame
    inputs: dict[str, str]
    refused: dict[str, str]
    unlabelled: int
    duplicates: int
    versions: dict[str, str]
    unseen: int = 0

    @property
    def alike(self) -> int:
        """How many flows send the same sequence of payload sizes and directions as an earlier one."""
        return int(pd.Series(duplicates.sequences(self.flows)).duplicated().sum())

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
    unseen: int = 0
    versions: tuple[tuple[str, str], ...] = ()


def load(
    folder: Path,
    *,
    sessions: frozenset[str] | None = None,
    cache: Path | None = None,
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Corpus:
    """Read every capture below `folder` (or those named in `sessions`), join its labels, drop duplicates.

    A capture is refused, and named in `Corpus.refused`, when it dropped packets, is damaged, lacks its labels, or
    does not have the hash and number of packets of its manifest. `cache` keeps flow tables by capture hash.

    Raises:
        InputError: no usable capture is there.
    """
    every = sorted(p.parent for p in folder.rglob("manifest.toml"))
    places = [place for place in every if sessions is None or place.name in sessions]
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
        return _labelled(place, cache)
    except BtresearchError as error:
        return _Part(place.name, refused=str(error))


def _labelled(place: Path, cache: Path | None) -> _Part:
    capture = Capture.open(place)
    if not capture.usable:
        return _Part(place.name, capture.sha256, refused="; ".join(capture.reasons))
    if not (place / LABELS_FILE).is_file():
        raise InputError(place, f"a capture folder with {LABELS_FILE}")
    labels, table = capture.labels(), _flows(capture, cache)
    if fault := _fault(table, capture.manifest):
        return _Part(place.name, capture.sha256, refused=fault)
    claim = claims_of(table, labels)
    flows = _with_truth(table, labels, claim)
    flows["truth_capture_kind"] = capture.manifest.kind
    flows["truth_capture_name"] = place.name
    return _Part(
        place.name,
        capture.sha256,
        flows=flows,
        unlabelled=int((claim < 0).sum()),
        unseen=len(labels) - len(set(claim[claim >= 0])),
        versions=tuple(sorted(capture.manifest.tools.items())),
    )


def _fault(table: pd.DataFrame, manifest: Manifest) -> str:
    """Why a capture that opens is not the whole of what was captured; empty when it is."""
    if broken := next((one["error"] for one in table.attrs["captures"].values() if one["error"]), ""):
        return str(broken)
    found = table.attrs["packets"]
    return f"{found} packets, the manifest says {manifest.packets}" if found != manifest.packets else ""


def _flows(capture: Capture, cache: Path | None) -> pd.DataFrame:
    if cache is None:
        return flow.read(capture.path)
    kept = cache / f"{capture.sha256[:32]}-schema{SCHEMA_VERSION}.parquet"
    if kept.exists():
        try:
            return flow.from_parquet(kept)
        except InputError as error:
            log.warning("%s; read anew", error)
    table = flow.read(capture.path)
    cache.mkdir(parents=True, exist_ok=True)
    partial = kept.with_suffix(".partial")
    flow.to_parquet(table, partial)
    partial.replace(kept)
    return table


def claims_of(table: pd.DataFrame, labels: pd.DataFrame) -> NDArray[np.int64]:
    """Position in `labels` of the label that claims each flow, -1 where none does.

    The five-tuple is looked up in both directions (a UDP flow's first packet may come from the responder); where it
    recurs, the label that began last before the flow counts, as in the capture's packet comments.
    """
    begun: dict[tuple[object, ...], list[tuple[int, int]]] = {}
    for place, (proto, src, sport, dst, dport, t_ns) in enumerate(labels[[*KEY, "t_first_ns"]].to_numpy()):
        begun.setdefault((proto, src, sport, dst, dport), []).append((t_ns - EARLY_NS, place))
    swapped = {(proto, dst, dport, src, sport): v for (proto, src, sport, dst, dport), v in begun.items()}
    known = {key: sorted(when) for key, when in (swapped | begun).items()}
    claims = [
        _latest(known.get(tuple(row[:-1]), []), row[-1]) for row in table[[*KEY, "t_first_ns"]].to_numpy()
    ]
    return np.array(claims, dtype=np.int64)


def _latest(begun: list[tuple[int, int]], t_ns: int) -> int:
    before = [place for start_ns, place in begun if start_ns <= t_ns]
    return before[-1] if before else begun[0][1] if begun else -1


def _with_truth(table: pd.DataFrame, labels: pd.DataFrame, claim: NDArray[np.int64]) -> pd.DataFrame:
    flows = table[claim >= 0].reset_index(drop=True)
    truth = labels[TRUTH].iloc[claim[claim >= 0]].add_prefix("truth_").reset_index(drop=True)
    return pd.concat([flows, truth], axis=1)


def _join(folder: Path, parts: list[_Part]) -> Corpus:
    tables = [p.flows for p in parts if p.flows is not None and len(p.flows)]
    if not tables:
        reasons = "; ".join(f"{p.name}: {p.refused or 'no labelled flow'}" for p in parts[:3])
        raise InputError(folder, f"at least one usable capture ({reasons})")
    flows = pd.concat(tables, ignore_index=True)
    repeated = duplicates.exact(flows)
    versions = {name: version for p in parts for name, version in p.versions}
    return Corpus(
        flows=flows[~repeated].reset_index(drop=True),
        inputs={p.name: p.sha256 for p in parts if not p.refused},
        refused={p.name: p.refused for p in parts if p.refused},
        unlabelled=sum(p.unlabelled for p in parts),
        duplicates=int(repeated.sum()),
        versions=versions,
        unseen=sum(p.unseen for p in parts),
    )
