"""The benchmark commands, and an SSL torrent from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from btresearch.cli import app
from btresearch.peer import Torrent
from btresearch.peer.ssl_root import ssl_root
from tests.transport.ssl_peers import root


def test_a_row_is_an_object_a_line() -> None:
    result = CliRunner().invoke(app, ["bench", "lookup", "--torrents", "10", "--repeat", "2", "--json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["torrents"] == 10


def test_a_table_without_json() -> None:
    result = CliRunner().invoke(app, ["bench", "lookup", "--torrents", "10", "--repeat", "2"])
    assert result.exit_code == 0
    assert "yes" in result.stdout


@pytest.mark.parametrize("command", ["transfer", "lookup", "refusal", "crowd", "handshake"])
def test_every_bench_has_help_with_an_example(command: str) -> None:
    result = CliRunner().invoke(app, ["bench", command, "--help"])
    assert result.exit_code == 0
    assert f"btresearch bench {command}" in result.stdout


def test_an_ssl_torrent(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(root().pem)
    (tmp_path / "content").write_bytes(b"some bytes")
    arguments = ["torrent", "create", str(tmp_path / "content"), "-o", str(tmp_path / "x.torrent")]
    result = CliRunner().invoke(app, [*arguments, "--ssl-cert", str(tmp_path / "ca.pem")])
    assert result.exit_code == 0
    assert ssl_root(Torrent.load(tmp_path / "x.torrent")) == root().pem
    asked = ["get", str(tmp_path / "x.torrent"), "-o", str(tmp_path / "out")]
    refused = CliRunner().invoke(app, [*asked, "--ssl-certificate", str(tmp_path / "ca.pem")])
    assert refused.exit_code != 0
    assert "--ssl-key" in str(refused.exception)
    assert "SSL torrent" in str(CliRunner().invoke(app, asked).exception)
