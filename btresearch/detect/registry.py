"""Finds the detectors (one `DETECTOR` per module of this package) and runs them over a flow table."""

from __future__ import annotations

import importlib
import logging
import pkgutil
import tomllib
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType

import pandas as pd

from btresearch.detect.contract import TABLE, VERDICTS, Detector, DetectorError, abstain, answers, check
from btresearch.errors import InputError, MissingTool
from btresearch.flow import from_parquet, read

log = logging.getLogger(__name__)

CAPTURE_FILE, MANIFEST_FILE = "capture.pcapng", "manifest.toml"  # of a capture folder


@cache
def _registered() -> dict[str, Detector]:
    package = importlib.import_module(__package__ or "btresearch.detect")
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."))
    return collect([importlib.import_module(name) for name in names])


def detectors() -> dict[str, Detector]:
    """Every registered detector by its name, in the order of their modules."""
    return dict(_registered())


def collect(modules: Iterable[ModuleType]) -> dict[str, Detector]:
    """The modules' `DETECTOR`s by name; modules without one are passed over.

    Raises DetectorError when two have one name, or when a `DETECTOR` is none.
    """
    found: dict[str, Detector] = {}
    for module in modules:
        detector = getattr(module, "DETECTOR", None)
        if detector is None:
            continue
        if not isinstance(detector, Detector):
            raise DetectorError(f"{module.__name__}: DETECTOR lacks a part of the contract")
        if detector.name in found:
            raise DetectorError(f"{module.__name__}: a detector named {detector.name} is there already")
        found[detector.name] = detector
    return found


def select(names: Sequence[str | Detector] | None = None) -> list[Detector]:
    """The named detectors (all when None); a Detector, such as a fitted model, stands for itself."""
    known = _registered()
    chosen = list(known.values()) if names is None else [_lookup(known, name) for name in names]
    collisions = {d.name for d in chosen if sum(d.name == e.name for e in chosen) > 1}
    if collisions:
        raise DetectorError(f"detector {collisions.pop()} is asked for twice")
    return chosen


def _lookup(known: dict[str, Detector], name: str | Detector) -> Detector:
    if not isinstance(name, str):
        return name
    if name not in known:
        raise DetectorError(f"no detector {name!r}; there are {', '.join(known)}")
    return known[name]


def narrow(flows: pd.DataFrame, detector: Detector) -> pd.DataFrame:
    """The columns that the detector sees, and no other. Raises InputError for one that is missing."""
    missing = [column for column in detector.sees if column not in flows.columns]
    if missing:
        raise InputError("flow table", f"the columns {', '.join(missing)} (for detector {detector.name})")
    return flows[list(detector.sees)]


def run(flows: pd.DataFrame, names: Sequence[str | Detector] | None = None) -> pd.DataFrame:
    """The verdict table: a row per detector and flow, with the columns of `contract.TABLE`.

    A detector whose tool this machine lacks abstains on every flow, with the package in `why`.
    """
    return pd.concat([_run_one(flows, d) for d in select(names)] or [_empty()], ignore_index=True)


def _run_one(flows: pd.DataFrame, detector: Detector) -> pd.DataFrame:
    seen = narrow(flows, detector)
    try:
        table = check(detector, seen, detector(seen))
    except MissingTool as missing:
        log.warning("detector %s: %s", detector.name, missing)
        table = answers(flows.index, [abstain(str(missing))] * len(flows))
    key = flows[["capture", "flow_id"]].assign(detector=detector.name, version=detector.version)
    return pd.concat([key, table], axis=1)[list(TABLE)]


def load(sources: Sequence[Path]) -> pd.DataFrame:
    """The flow tables of captures, capture folders and Parquet files, one below the other.

    Raises InputError for a capture that is not the one that the manifest beside it names by its hash.
    """
    tables = [from_parquet(path) for path in sources if path.suffix == ".parquet"]
    captures = [path for path in sources if path.suffix != ".parquet"]
    tables += [_as_recorded(read(captures))] if captures else []
    return pd.concat(tables, ignore_index=True)


def _as_recorded(flows: pd.DataFrame) -> pd.DataFrame:
    """The flows, unless a capture among them differs from its manifest."""
    for found, facts in flows.attrs["captures"].items():
        manifest = Path(facts["path"]).with_name(MANIFEST_FILE)
        if Path(facts["path"]).name != CAPTURE_FILE or not manifest.is_file():
            continue
        expected = _recorded_hash(manifest)
        if found != expected:
            raise InputError(facts["path"], f"SHA-256 {expected} as in {MANIFEST_FILE}, not {found}")
    return flows


def _recorded_hash(manifest: Path) -> str:
    try:
        return str(tomllib.loads(manifest.read_text(encoding="utf-8"))["sha256"])
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError) as error:
        raise InputError(manifest, f"a manifest with the capture's sha256 ({error})") from None


def summary(verdicts: pd.DataFrame) -> pd.DataFrame:
    """How many flows got which verdict from which detector."""
    counts = verdicts.groupby(["detector", "version", "verdict"]).size().unstack(fill_value=0)
    return counts.reindex(columns=list(VERDICTS), fill_value=0).reset_index()


def _empty() -> pd.DataFrame:
    return pd.DataFrame(columns=list(TABLE))
