"""manifest.toml: how a capture came to be, and what it must hash to."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from os import PathLike
from pathlib import Path
from typing import Any

from btresearch.capture import toml
from btresearch.errors import InputError

KINDS = ("wire", "packetised")
FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How busy the machine was: one-minute load averages around the run, and its processors."""

    before: float = 0.0
    after: float = 0.0
    cpus: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What produced a capture; `kind` is wire (real packets) or packetised (built from socket records).

    `sha256` is of the capture file, `scenario_sha256` of the scenario's text. `dropped` counts packets that
    the capture lost, `oversize` frames above the MTU (segmentation offload was on), `tools` maps a program to
    its version, `profile` names the network profile. Times are ns since the Unix epoch.
    """

    scenario: str
    kind: str
    sha256: str
    packets: int
    session: str = ""
    scenario_sha256: str = ""
    seed: int = 0
    profile: str = ""
    started_ns: int = 0
    ended_ns: int = 0
    dropped: int = 0
    oversize: int = 0
    load: Load = field(default_factory=Load)
    tools: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    format: int = FORMAT

    def to_toml(self) -> str:
        """Return the text of manifest.toml."""
        return toml.dumps(asdict(self))

    def write(self, path: str | PathLike[str]) -> None:
        """Write manifest.toml."""
        Path(path).write_text(self.to_toml(), encoding="utf-8")


def read_manifest(path: str | PathLike[str]) -> Manifest:
    """Read manifest.toml; raises `InputError` when it is no manifest of this format."""
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # no text, no TOML, or absurd TOML
        raise InputError(path, f"a TOML file ({error})") from None
    if table.get("format") != FORMAT:
        raise InputError(path, f"a manifest of format {FORMAT}, not {table.get('format')!r}")
    if table.get("kind") not in KINDS:
        raise InputError(path, f"kind {' or '.join(KINDS)}, not {table.get('kind')!r}")
    _check(table, Manifest, path)
    load = table.pop("load", {})
    _check(load, Load, path)
    notes = tuple(map(str, table.pop("notes", ())))
    return Manifest(**table, load=Load(**load), notes=notes)


def sha256_of(path: str | PathLike[str]) -> str:
    """Return the SHA-256 of a file in hex."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_TOML_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "Load": (dict,),
    "Mapping[str, str]": (dict,),
    "tuple[str, ...]": (list,),
}


def _check(table: dict[str, Any], kind: type[Manifest | Load], path: str | PathLike[str]) -> None:
    """Raise `InputError` unless the table's keys and types are those of the dataclass `kind`."""
    known = {entry.name: entry for entry in fields(kind)}
    for name, value in table.items():
        if name not in known:
            raise InputError(path, f"no key {name!r}")
        if not isinstance(value, _TOML_TYPES[str(known[name].type)]):
            raise InputError(path, f"{known[name].type} for {name!r}, not {value!r}")
    needed = [e.name for e in known.values() if e.default is MISSING and e.default_factory is MISSING]
    if missing := [name for name in needed if name not in table]:
        raise InputError(path, f"the keys {', '.join(missing)}")
