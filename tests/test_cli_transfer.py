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
from btresearch.peer import Magnet, Torrent
from btresearch.session.membership import Membership
from btresearch.session.storage import Storage
from btresearch.session.torrent_file import Version
from tests.session.swarming import Content, single

COMMAND = [sys.executable, "-m", "btresearch"]
LIMIT_S = 30


def _cli(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


def _content(tmp_path: Path, size_bytes: int = 4_000_000, **options: Any) -> Content:
    content = single(tmp_path / "in", size_bytes, **options)
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
    ("number", "status", "version"),
    [
        (signal.SIGINT, 130, 1),
        (signal.SIGTERM, 143, 1),
        (signal.SIGKILL, -9, 1),
        (signal.SIGKILL, -9, 2),
        (signal.SIGKILL, -9, "hybrid"),
    ],
)
def test_get_that_is_stopped_half_way_resumes_and_verifies(
    tmp_path: Path, number: signal.Signals, status: int, version: Version
) -> None:
    content = _content(tmp_path, version=version)
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


def test_a_strict_torrent_from_its_making_to_a_transfer(tmp_path: Path) -> None:
    single(tmp_path / "in", 300_000)
    torrent, secret = tmp_path / "s.torrent", tmp_path / "s.torrent.secret"
    made = _cli(
        "torrent", "create", str(tmp_path / "in/content.bin"), "-o", str(torrent), "--level", "strict"
    )
    assert made.exit_code == 0, made.output
    assert secret.stat().st_mode & 0o777 == 0o600
    shared = bytes.fromhex(secret.read_text())
    assert shared not in torrent.read_bytes() and secret.read_text().strip() not in made.output
    shown = json.loads(_cli("torrent", "show", str(torrent), "--json").stdout)
    assert (shown["level"], shown["secret"]) == ("strict", "not inside")
    link = _cli("torrent", "magnet", str(torrent)).stdout.strip()
    full_link = _cli(
        "torrent", "magnet", str(torrent), "--with-secret", "--secret-file", str(secret)
    ).stdout.strip()
    assert Membership.of(Magnet.parse(full_link)) == Membership.of(Magnet.parse(link), secret=shared)
    with pytest.raises(InputError, match="a secret"):
        Membership.of(Magnet.parse(link))
    with _process("seed", str(torrent), str(tmp_path / "in"), "--host", "127.0.0.1", "--secret-file",
                  str(secret), "--json") as seed:  # fmt: skip
        port = _event(seed)["port"]
        for name, source in {"file": str(torrent), "link": link}.items():
            got = subprocess.run(
                [*COMMAND, "get", source, "-o", str(tmp_path / name), "--peer", f"127.0.0.1:{port}",
                 "--host", "127.0.0.1", "--secret-file", str(secret)],
                capture_output=True, text=True, timeout=LIMIT_S, check=False,
            )  # fmt: skip
            assert got.returncode == 0, got.stderr
            assert (tmp_path / name / "content.bin").read_bytes() == (
                tmp_path / "in/content.bin"
            ).read_bytes()


def test_the_secret_goes_only_where_it_is_asked_to(tmp_path: Path) -> None:
    single(tmp_path / "in", 40_000)
    create = ["torrent", "create", str(tmp_path / "in/content.bin"), "--level", "strict"]
    inside = tmp_path / "inside.torrent"
    assert _cli(*create, "-o", str(inside), "--with-secret").exit_code == 0
    assert inside.stat().st_mode & 0o777 == 0o600 and Membership.of(Torrent.load(inside)).level == "strict"
    words = tmp_path / "words.torrent"
    assert _cli(*create, "-o", str(words), "--passphrase", "--with-secret").exit_code == 0
    assert Torrent.load(words).secret is None
    said = (tmp_path / "words.torrent.passphrase").read_text().strip()
    assert Membership.of(Torrent.load(words), passphrase=said).level == "strict"
    wrong = tmp_path / "wrong"
    wrong.write_text("00" * 31)
    refused = _cli("torrent", "magnet", str(words), "--with-secret", "--secret-file", str(wrong))
    assert refused.exit_code == 0  # a passphrase is in no link
    refused = _cli("torrent", "magnet", str(inside), "--with-secret", "--secret-file", str(wrong))
    assert isinstance(refused.exception, InputError) and "00" * 31 not in str(refused.exception)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--level", "secret"], "basic, strict or full"),
        (["--passphrase"], "strict or full"),
        (["--level", "full"], "ca"),
        (["--level", "strict", "--est", "https://t.example"], "est"),
        (["--level", "strict", "--secure-tracker", "http://t.example"], "https://host"),
        (["--level", "full", "--ca", "none.pem"], "readable"),
    ],
)
def test_levels_that_cannot_be_made(tmp_path: Path, options: list[str], complaint: str) -> None:
    single(tmp_path / "in", 40_000)
    made = _cli("torrent", "create", str(tmp_path / "in/content.bin"), "-o", str(tmp_path / "x"), *options)
    assert isinstance(made.exception, InputError) and complaint in str(made.exception)
    assert not (tmp_path / "x").exists()


@pytest.mark.slow
def test_get_goes_on_seeding_until_a_signal_and_ctrl_c_is_one_line_from_the_start(tmp_path: Path) -> None:
    content = _content(tmp_path, 300_000)
    arguments = ["--host", "127.0.0.1", "--json"]
    with _process("seed", str(tmp_path / "x.torrent"), str(content.folder), *arguments) as first:
        peer = ["--peer", f"127.0.0.1:{_event(first)['port']}"]
        target = ["get", str(tmp_path / "x.torrent"), "-o"]
        with _process(*target, str(tmp_path / "a"), *peer, *arguments, "--seed") as second:
            port = _event(second)["port"]
            third = subprocess.run(
                [*COMMAND, *target, str(tmp_path / "b"), "--peer", f"127.0.0.1:{port}", *arguments],
                capture_output=True, timeout=LIMIT_S, check=False,
            )  # fmt: skip
            assert third.returncode == 0 and content.same_in(tmp_path / "b")
            second.send_signal(signal.SIGINT)
            out, errors = second.communicate(timeout=LIMIT_S)
            assert (second.returncode, errors) == (0, "") and '"complete"' in out
    for pause_s in (0.08, 0.15, 0.25, 0.4):
        with _process("torrent", "show", "--help") as early:
            time.sleep(pause_s)
            early.send_signal(signal.SIGINT)
            assert "Traceback" not in early.communicate(timeout=LIMIT_S)[1]
