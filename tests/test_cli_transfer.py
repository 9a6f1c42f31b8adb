"""The transfer commands as real processes: ports, signals, exit codes, resuming."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from btresearch.cli import app
from btresearch.errors import InputError
from btresearch.peer import Torrent
from btresearch.session.storage import Storage
from tests.session.swarming import Content, single

COMMAND = [sys.executable, "-m", "btresearch.cli"]
LIMIT_S = 30


def _cli(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


def _content(tmp_path: Path, size_bytes: int = 4_000_000) -> Content:
    content = single(tmp_path / "in", size_bytes)
    (tmp_path / "x.torrent").write_bytes(content.torrent.dump())
    return content


@contextlib.contextmanager
def _process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def _event(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.communicate()[1]
    fields: dict[str, Any] = json.loads(line)
    return fields


@contextlib.contextmanager
def _seed(tmp_path: Path, *options: str) -> Iterator[int]:
    arguments = ("seed", str(tmp_path / "x.torrent"), str(tmp_path / "in"), "--host", "127.0.0.1", "--json")
    with _process(*arguments, *options) as process:
        yield _event(process)["port"]


def _get_arguments(tmp_path: Path, port: int) -> list[str]:
    source, out = str(tmp_path / "x.torrent"), str(tmp_path / "out")
    return ["get", source, "-o", out, "--peer", f"127.0.0.1:{port}", "--host", "127.0.0.1", "--json"]


def _wait_for_a_third(tmp_path: Path, torrent: Torrent) -> None:
    deadline = time.monotonic() + LIMIT_S
    written = 0
    while written < torrent.total_bytes // 3:
        assert time.monotonic() < deadline
        time.sleep(0.05)
        if (tmp_path / "out" / torrent.name).exists():
            storage = Storage.find(torrent, tmp_path / "out")
            written = torrent.total_bytes - sum(length for _, length in storage.holes())
            storage.close()


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_get_that_is_stopped_half_way_resumes_and_verifies(
    tmp_path: Path, number: signal.Signals, status: int
) -> None:
    content = _content(tmp_path)
    with _seed(tmp_path, "--limit-up", "2000000") as port:
        with _process(*_get_arguments(tmp_path, port)) as process:
            _wait_for_a_third(tmp_path, content.torrent)
            process.send_signal(number)
            _, complaint = process.communicate(timeout=LIMIT_S)
            assert process.returncode == status
            assert "Traceback" not in complaint
            assert (number != signal.SIGINT) or complaint == "btresearch: interrupted\n"
        assert not content.same_in(tmp_path / "out")
        with _process(*_get_arguments(tmp_path, port)) as process:
            assert _event(process)["event"] == "listening"
            done = _event(process)
            assert process.wait(LIMIT_S) == 0
    assert done["resumed_bytes"] >= content.torrent.total_bytes // 4
    assert done["downloaded_bytes"] + done["resumed_bytes"] == content.torrent.total_bytes
    assert content.same_in(tmp_path / "out")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_seed_ends_well_on_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    _content(tmp_path, 100_000)
    arguments = ("seed", str(tmp_path / "x.torrent"), str(tmp_path / "in"), "--host", "127.0.0.1")
    with _process(*arguments) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("listening on port ")
        process.send_signal(number)
        told, complaint = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, complaint) == (0, "")
    assert told.startswith("uploaded 0 bytes")


def test_tracker_brings_peers_together(tmp_path: Path) -> None:
    with _process("tracker", "--port", "0", "--json") as tracker:
        url = _event(tracker)["url"]
        content = single(tmp_path / "in", 100_000, announce=[[url]])
        (tmp_path / "x.torrent").write_bytes(content.torrent.dump())
        with _seed(tmp_path):
            out = ("-o", str(tmp_path / "out"), "--host", "127.0.0.1")
            with _process("get", str(tmp_path / "x.torrent"), *out) as process:
                assert process.wait(LIMIT_S) == 0
        tracker.send_signal(signal.SIGINT)
        assert tracker.wait(LIMIT_S) == 0
    assert content.same_in(tmp_path / "out")


def test_create_show_magnet(tmp_path: Path) -> None:
    single(tmp_path / "in", 100_000)
    torrent = str(tmp_path / "x.torrent")
    made = _cli(
        "torrent",
        "create",
        str(tmp_path / "in" / "content.bin"),
        "-o",
        torrent,
        "--announce",
        "http://t.example/announce",
        "--piece-length",
        "32768",
    )
    assert made.exit_code == 0
    shown = json.loads(_cli("torrent", "show", torrent, "--json").stdout)
    assert shown["infohash"] == made.stdout.strip()
    assert (shown["bytes"], shown["pieces"], shown["trackers"]) == (100_000, 4, ["http://t.example/announce"])
    link = _cli("torrent", "magnet", torrent, "--peer", "192.0.2.1:6881").stdout.strip()
    again = json.loads(_cli("torrent", "show", link, "--json").stdout)
    assert (again["infohash"], again["peers"]) == (shown["infohash"], ["192.0.2.1:6881"])
    assert shown["infohash"] in _cli("torrent", "show", torrent).stdout


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["get", "missing.torrent", "-o", "out"], "missing.torrent"),
        (["get", "magnet:?xt=urn:btih:zz", "-o", "out"], "magnet link"),
        (["get", "x.torrent", "-o", "out", "--peer", "nowhere"], "HOST:PORT"),
        (["get", "x.torrent", "-o", "out", "--transport", "warp"], "warp"),
        (["get", "x.torrent", "-o", "out", "--shape", "round"], "round"),
        (["get", "broken.torrent", "-o", "out"], "broken.torrent"),
        (["seed", "x.torrent", "nothing-here"], "nothing-here: not found"),
        (["get", "x.torrent", "-o", "x.torrent"], "x.torrent"),
        (["torrent", "create", "nothing-here", "-o", "y.torrent"], "nothing-here"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, arguments: list[str], complaint: str) -> None:
    content = _content(tmp_path, 100_000)
    (tmp_path / "broken.torrent").write_bytes(content.torrent.dump()[:-40])
    done = subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, cwd=tmp_path, timeout=LIMIT_S, check=False
    )
    assert done.returncode == 1
    assert complaint in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "command",
    [
        ["seed"],
        ["get"],
        ["tracker"],
        ["torrent", "create"],
        ["torrent", "show"],
        ["torrent", "magnet"],
        ["bench", "transfer"],
    ],
)
def test_help_has_an_example(command: list[str]) -> None:
    shown = _cli(*command, "--help").stdout
    assert f"Example: btresearch {' '.join(command)}" in " ".join(shown.split())


def test_names_of_strangers_are_shown_as_they_are(tmp_path: Path) -> None:
    """Neither markup nor anything that steers a terminal."""
    torrent = Torrent.create(
        "x", [(("a[", "b] z"), 5)], bytes(20), piece_length_bytes=16384, announce=[["http://x/\x1b[2J"]]
    )
    (tmp_path / "odd.torrent").write_bytes(torrent.dump())
    shown = _cli("torrent", "show", str(tmp_path / "odd.torrent"))
    assert shown.exit_code == 0
    assert "x/a[/b] z" in shown.stdout
    assert "\x1b" not in shown.stdout


def test_create_refuses_names_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path / "in") + b"/\xff")).write_bytes(b"x")
    created = _cli("torrent", "create", str(tmp_path / "in"), "-o", str(tmp_path / "x.torrent"))
    assert isinstance(created.exception, InputError)
    assert str(created.exception).isprintable()


def test_no_magnet_lowers_the_level_of_its_torrent(tmp_path: Path) -> None:
    strict = Torrent.create("x", [((), 5)], bytes(20), piece_length_bytes=16384, tls={b"level": b"strict"})
    (tmp_path / "strict.torrent").write_bytes(strict.dump())
    told = _cli("torrent", "magnet", str(tmp_path / "strict.torrent"))
    assert isinstance(told.exception, InputError)
    assert told.stdout == ""
