"""Every command has help with an example and stands in the README; errors are one line."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
import typer.main
from typer.testing import CliRunner

from btresearch.cli import app

ROOT = Path(__file__).parent.parent


def leaves(command: click.Command, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], click.Command]]:
    """Every command that does something, with its words."""
    children = getattr(command, "commands", None)
    if not children:
        return [(path, command)]
    return [leaf for name, child in children.items() for leaf in leaves(child, (*path, name))]


COMMANDS = leaves(typer.main.get_command(app))


def test_commands_were_found() -> None:
    assert {"seed", "get", "capture", "flows", "detect", "evidence"} <= {path[0] for path, _ in COMMANDS}


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=[" ".join(p) for p, _ in COMMANDS])
def test_help_says_what_it_does_and_shows_an_example(path: tuple[str, ...], command: click.Command) -> None:
    text = CliRunner().invoke(app, [*path, "--help"]).output
    assert command.help, path
    assert f"btresearch {' '.join(path)}" in re.sub(r"\s+", " ", text), "no example"


@pytest.mark.parametrize("path", [p for p, _ in COMMANDS], ids=" ".join)
def test_readme_tells_of_it(path: tuple[str, ...]) -> None:
    assert f"btresearch {path[0]}" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize(
    "arguments",
    [
        ["flows", "nowhere.pcap", "-o", "x.parquet"],
        ["detect", "nowhere.pcap"],
        ["torrent", "show", "nowhere.torrent"],
        ["get", "nowhere.torrent", "-o", "x"],
        ["capture", "no-such-scenario", "--out", "x"],
        ["evidence", "E99", "--out", "x"],
    ],
    ids=" ".join,
)
def test_a_known_error_is_one_line_and_status_1(arguments: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "btresearch.cli", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("btresearch: ")
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
