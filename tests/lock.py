"""The fingerprint that ties requirements.lock to pyproject.toml; `python -m tests.lock` prints it."""

from __future__ import annotations

import hashlib
import json
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent


def fingerprint() -> str:
    """SHA-256 over the project's declared dependencies, extras included."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = [project["dependencies"], project["optional-dependencies"], project["requires-python"]]
    return hashlib.sha256(json.dumps(declared, sort_keys=True).encode()).hexdigest()


if __name__ == "__main__":
    sys.stdout.write(fingerprint() + "\n")
