"""What `flow.read` takes: a capture file, a capture directory, a glob, or a list of these."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from os import PathLike, fspath
from pathlib import Path

from btresearch.errors import InputError

Source = str | PathLike[str]
CAPTURE_FILE = "capture.pcapng"  # what a capture directory holds
SUFFIXES = (".pcap", ".pcapng", ".cap", ".trace", ".pcap.gz", ".pcapng.gz")


def resolve(source: Source | Iterable[Source]) -> list[Path]:
    """The capture files of `source`, each once, in order. Raises InputError where there is none."""
    sources: Iterable[Source] = [source] if isinstance(source, str | PathLike) else source
    found = [path for one in sources for path in _files(fspath(one))]
    if not found:
        raise InputError("flow sources", "at least one capture")
    return list(dict.fromkeys(found))


def _files(name: str) -> list[Path]:
    path = Path(name)
    if path.is_dir():
        return _directory(path)
    if not path.exists() and any(sign in name for sign in "*?["):
        anchor = Path(path.anchor)
        matches = sorted(anchor.glob(str(path.relative_to(anchor))))
        if not matches:
            raise InputError(name, "a pattern that matches a file")
        return [file for match in matches for file in ([match] if match.is_file() else _directory(match))]
    return [path]


def _directory(path: Path) -> list[Path]:
    """The directory's own capture, else every capture below it."""
    if (path / CAPTURE_FILE).is_file():
        return [path / CAPTURE_FILE]
    files = sorted(file for file in path.rglob("*") if file.name.endswith(SUFFIXES) and file.is_file())
    if not files:
        raise InputError(path, f"a directory with {CAPTURE_FILE} or other captures")
    return files


def sha256(path: Path) -> str:
    """The file's SHA-256 as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
