"""Names from a stranger's .torrent file that are safe to join to an output folder."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

MAX_NAME_BYTES = 255
"""NAME_MAX of every Linux file system in use."""
MAX_PATH_BYTES = 3072
"""Below PATH_MAX (4096), with room for the output folder."""
MAX_PATH_PARTS = 64

_DRIVE = re.compile(r"[A-Za-z]:")
_WINDOWS_DEVICE = re.compile(r"(?i)(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\.|$)")
_WINDOWS_CHARACTER = re.compile(r'[<>:"|?*]')
_BIDI_OVERRIDE = re.compile("[\u202a-\u202e\u2066-\u2069]")


def unsafe(part: str) -> str | None:
    """Why `part` cannot be one component of a path below the output folder; None if it can."""
    if part in ("", ".", ".."):
        return f"a name, not {part!r}"
    if "/" in part or "\\" in part:
        return f"a name without separators, not {_short(part)}"
    if any(unicodedata.category(character) == "Cc" for character in part):
        return f"a name without control characters, not {_short(part)}"
    if _DRIVE.match(part):
        return f"a name that is no drive letter, not {_short(part)}"
    if len(part.encode()) > MAX_NAME_BYTES:
        return f"a name of at most {MAX_NAME_BYTES} bytes, not {len(part.encode())}"
    return None


def unsafe_path(parts: Sequence[str]) -> str | None:
    """Why `parts` cannot be a path below the output folder; None if they can."""
    if not 1 <= len(parts) <= MAX_PATH_PARTS:
        return f"a path of 1 to {MAX_PATH_PARTS} parts, not {len(parts)}"
    if sum(len(part.encode()) + 1 for part in parts) > MAX_PATH_BYTES:
        return f"a path of at most {MAX_PATH_BYTES} bytes"
    return next((reason for part in parts if (reason := unsafe(part))), None)


def remark(part: str) -> str | None:
    """What is odd but harmless here: names that another system cannot store, or that mislead a reader."""
    if _WINDOWS_DEVICE.match(part) or _WINDOWS_CHARACTER.search(part) or part.endswith((" ", ".")):
        return f"{_short(part)} cannot be stored on Windows"
    if _BIDI_OVERRIDE.search(part):
        return f"{_short(part)} turns the direction of writing, which can hide its real ending"
    return None


def collision(paths: Iterable[tuple[str, ...]]) -> str | None:
    """The first path that is there twice, or is both a file and a folder; None if there is none."""
    files: set[tuple[str, ...]] = set()
    folders: set[tuple[str, ...]] = set()
    for path in paths:
        parents = {path[:depth] for depth in range(1, len(path))}
        if path in files:
            return f"each path once, not {_short('/'.join(path))} again"
        if path in folders or not files.isdisjoint(parents):
            return f"files and folders apart, but {_short('/'.join(path))} meets one of the other kind"
        files.add(path)
        folders |= parents
    return None


def case_collision(paths: Iterable[tuple[str, ...]]) -> str | None:
    """A remark on two paths that file systems without case (or with one Unicode form) take for one."""
    seen: dict[str, tuple[str, ...]] = {}
    for path in paths:
        folded = unicodedata.normalize("NFC", "/".join(path)).casefold()
        if seen.setdefault(folded, path) != path:
            return f"{_short('/'.join(path))} differs from another path by case or Unicode form only"
    return None


def _short(name: str) -> str:
    return repr(name if len(name) <= 60 else name[:57] + "...")
