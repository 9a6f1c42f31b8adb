"""The BEP as the single file that bittorrent.org takes: what it includes stands in it."""

from __future__ import annotations

import re
from pathlib import Path

from btresearch.errors import InputError

DOCUMENT = "bep_tls.rst"

_INCLUDE = re.compile(r"^\.\. include:: (\S+)\n   :literal:\n", re.MULTILINE)
_INDENT = "    "


def flatten(source: Path, out: Path) -> Path:
    """Write `source`/bep_tls.rst into `out` with each literal include in its place; returns the file.

    Raises InputError: an included file is missing or is no ASCII text.
    """
    text = (source / DOCUMENT).read_text(encoding="utf-8")
    out.mkdir(parents=True, exist_ok=True)
    flat = out / DOCUMENT
    flat.write_text(_INCLUDE.sub(lambda match: _literal(source / match[1]), text), encoding="utf-8")
    return flat


def _literal(path: Path) -> str:
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(path, "a text file to include") from error
    return "::\n\n" + "".join(f"{_INDENT}{line}\n" for line in lines)
