"""Every test vector of the BEP: generated from the implementation, written, and compared with what is there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from btresearch.bep import (
    authenticators,
    discoveries,
    dispatches,
    hellos,
    key_schedule,
    metainfo,
    passphrases,
    torrents,
    worked_example,
)
from btresearch.bep.vector import Family
from btresearch.errors import BtresearchError

_MODULES = (dispatches, key_schedule, hellos, authenticators, passphrases, torrents, metainfo, discoveries)


class VectorsDiffer(BtresearchError):
    """The files are not what the implementation generates."""


def families() -> tuple[Family, ...]:
    """All families, in the order of the BEP."""
    return tuple(family for module in _MODULES for family in module.families())


def generate() -> dict[str, bytes]:
    """File name -> content; the same on every call and machine."""
    files = {f"{family.name}.json": family.dump() for family in families()}
    return files | {"worked_example.txt": worked_example.text()}


def write(folder: Path) -> tuple[Path, ...]:
    """Write every file into `folder`; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    generated = generate()
    for name, content in generated.items():
        (folder / name).write_bytes(content)
    return tuple(folder / name for name in generated)


def check(folder: Path) -> tuple[Path, ...]:
    """Compare `folder` with what is generated; returns the paths that were compared.

    Raises VectorsDiffer, which names the files that differ, are missing, or are nobody's.
    """
    generated = generate()
    wrong = sorted(_wrong(folder, generated))
    if wrong:
        raise VectorsDiffer(f"{folder}: not as generated: {', '.join(wrong)}")
    return tuple(folder / name for name in generated)


def _wrong(folder: Path, generated: Mapping[str, bytes]) -> set[str]:
    there = {path.name: path.read_bytes() for path in folder.iterdir()} if folder.is_dir() else {}
    return {name for name in generated.keys() | there.keys() if generated.get(name) != there.get(name)}
