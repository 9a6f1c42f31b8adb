"""The lock file is not stale, pins everything, and names no index."""

from __future__ import annotations

import re
import tomllib

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.lock import ROOT, fingerprint

LOCK = (ROOT / "requirements.lock").read_text()


def pins() -> dict[str, list[str]]:
    """Every pinned version by canonical name (a name may be pinned once per marker)."""
    found: dict[str, list[str]] = {}
    for line in LOCK.splitlines():
        if line and not line.startswith(("#", " ")):
            requirement = Requirement(line)
            version = next(iter(requirement.specifier)).version
            found.setdefault(canonicalize_name(requirement.name), []).append(version)
    return found


def test_lock_was_written_from_this_pyproject() -> None:
    assert f"# dependencies: {fingerprint()}" in LOCK, "stale lock: run make lock"


def test_every_declared_dependency_is_pinned_to_a_version_it_allows() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = [*project["dependencies"], *(r for e in project["optional-dependencies"].values() for r in e)]
    locked = pins()
    for text in declared:
        requirement = Requirement(text)
        versions = locked[canonicalize_name(requirement.name)]
        assert any(requirement.specifier.contains(v, prereleases=True) for v in versions), text


def test_lock_names_no_index_and_no_machine_path() -> None:
    assert not re.search(r"index-url|find-links|trusted-host|https?://|file:|@ ", LOCK)
