"""setup.sh meets what a machine lacks with one line that names the fix."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def setup(path: Path, python: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": f"{path}:/usr/bin:/bin", "PYTHON": python, "VENV": str(path / "venv")}
    return subprocess.run(
        ["sh", ROOT / "setup.sh"], env=environment, capture_output=True, text=True, check=False
    )


def fake(path: Path, fails_on: str) -> None:
    """A python3 that ends with status 1 where its program holds `fails_on`."""
    program = path / "fakepython"
    program.write_text(
        f'#!/bin/sh\ncase "$*" in *"{fails_on}"*) exit 1;; --version) echo "Python 3.9.2";; esac\n'
    )
    program.chmod(0o755)


@pytest.mark.parametrize(
    ("fails_on", "python", "said"),
    [
        ("nothing", "no-such-python", "no no-such-python here: install Python 3.11 or newer"),
        ("version_info", "fakepython", "Python 3.9.2 is too old: install Python 3.11 or newer"),
        ("ensurepip", "fakepython", "apt install python3-venv"),
    ],
)
def test_one_line_names_the_fix(fails_on: str, python: str, said: str, tmp_path: Path) -> None:
    fake(tmp_path, fails_on)
    done = setup(tmp_path, python)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("btresearch: ")
    assert said in done.stderr
    assert not (tmp_path / "venv").exists()
