"""The commands of the secure tracker as a person types them."""

from __future__ import annotations

import contextlib
import json
import re
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from string import Template
from typing import Any

import pytest
from typer.testing import CliRunner

from btresearch.cli import app
from btresearch.errors import InputError
from btresearch.session.secure import Members, MembersError
from tests.session.swarming import single

V1, V2 = "ab" * 20, "cd" * 32


def _cli(*arguments: str, typed: str | None = None) -> Any:
    return CliRunner().invoke(app, list(arguments), input=typed)


def _rows(state: Path) -> list[dict[str, Any]]:
    shown = _cli("member", "list", "--json", "--state", str(state))
    assert shown.exit_code == 0
    return [json.loads(line) for line in shown.stdout.splitlines()]


def test_add_list_remove(tmp_path: Path) -> None:
    content = single(tmp_path / "in", 100_000)
    file = tmp_path / "x.torrent"
    file.write_bytes(content.torrent.dump())
    state = tmp_path / "state"
    added = _cli("member", "add", "ann", "--torrent", str(file), "--state", str(state))
    assert added.exit_code == 0, added.output
    name, _, password = added.stdout.strip().partition(": password ")
    assert (name, len(password)) == ("ann", 24)
    assert password not in (state / "members.sqlite3").read_bytes().decode("latin-1")
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    again = _cli("member", "add", "ann", "--torrent", V1, "--state", str(state), "--json")
    assert json.loads(again.stdout) == {"event": "added", "name": "ann"}  # the password stays
    assert _rows(state) == [
        {
            "name": "ann",
            "enabled": True,
            "torrents": sorted([V1, *(one.hex() for one in content.torrent.infohashes)]),
            "last_issued_s": None,
        }
    ]
    assert _cli("member", "remove", "ann", "--torrent", V1, "--state", str(state)).exit_code == 0
    assert V1 not in _rows(state)[0]["torrents"]
    assert _cli("member", "remove", "ann", "--state", str(state)).exit_code == 0
    assert _rows(state) == [{"name": "ann", "enabled": False, "torrents": [], "last_issued_s": None}]
    assert (
        "ann  removed  no certificate yet  no torrent" in _cli("member", "list", "--state", str(state)).stdout
    )


def test_a_hybrid_by_its_hashes(tmp_path: Path) -> None:
    shown = _cli("member", "torrent", V2, V1, "--state", str(tmp_path))
    assert shown.stdout.split() == [V1, V2]
    assert _cli("member", "add", "ann", "--torrent", V2.upper(), "--state", str(tmp_path)).exit_code == 0
    assert _rows(tmp_path)[0]["torrents"] == [V1, V2]


def test_a_password_from_a_file_or_standard_input(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("correct horse battery\nand more\n")
    state = ("--state", str(tmp_path / "state"))
    for name, source, typed in (("ann", str(file), None), ("bob", "-", "correct horse battery\n")):
        added = _cli("member", "add", name, "--password-file", source, *state, typed=typed)
        assert added.stdout == f"{name}: added\n"
    from btresearch.session.secure import passwords

    with Members(tmp_path / "state") as members:
        hashes = [members.password_hash(name) for name in ("ann", "bob")]
    assert len(set(hashes)) == 2
    assert all(passwords.holds(one, "correct horse battery") for one in hashes)


def test_a_new_password(tmp_path: Path) -> None:
    first = _cli("member", "add", "ann", "--state", str(tmp_path)).stdout
    second = _cli("member", "add", "ann", "--new-password", "--state", str(tmp_path)).stdout
    assert first != second and "password" in second


@pytest.mark.parametrize("typed", ["short\n", "x" * 300 + "\n", "\n"])
def test_passwords_that_are_refused(tmp_path: Path, typed: str) -> None:
    done = _cli("member", "add", "ann", "--password-file", "-", "--state", str(tmp_path), typed=typed)
    assert isinstance(done.exception, InputError)
    assert "12 characters" in str(done.exception) and "xxx" not in str(done.exception)


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (("add", "a b"), MembersError),
        (("remove", "nobody"), MembersError),
        (("add", "ann", "--torrent", "ab"), InputError),
        (("torrent", V1, "cd" * 20, "--state", "x"), MembersError),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, arguments: tuple[str, ...], kind: type) -> None:
    state = () if "--state" in arguments else ("--state", str(tmp_path))
    fixed = [str(tmp_path / "y") if one == "x" else one for one in arguments]
    done = _cli("member", *fixed, *state)
    assert done.exit_code == 1
    assert isinstance(done.exception, kind)


def test_state_of_the_user_by_default(state_home: Path) -> None:
    assert _cli("member", "list").exit_code == 0
    assert (state_home / "btresearch" / "secure-tracker" / "members.sqlite3").exists()


def test_the_tracker_says_what_torrents_and_accounts_name(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "btresearch.cli", "tracker", "--secure", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--json", "--state", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=10)
    assert process.returncode == 0 and errors == ""
    origin = f"https://127.0.0.1:{told['port']}"
    assert (told["event"], told["est"], told["url"]) == ("listening", origin, f"{origin}/announce")
    assert len(told["ca"]) == len(told["pin"]) == 64


def test_half_a_certificate(tmp_path: Path) -> None:
    done = _cli("tracker", "--secure", "--cert", str(tmp_path / "x"), "--state", str(tmp_path))
    assert isinstance(done.exception, InputError)
    assert "--cert, --key" in str(done.exception)


def test_every_address_has_no_name(tmp_path: Path) -> None:
    done = _cli("tracker", "--secure", "--host", "0.0.0.0", "--state", str(tmp_path))
    assert isinstance(done.exception, InputError)
    assert "--origin" in str(done.exception)


DOCUMENT = Path(__file__).parent.parent / "docs" / "secure-tracker.md"


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_the_documented_commands(tmp_path: Path) -> None:
    """docs/secure-tracker.md, line by line, on a port of the machine's choice."""
    tracker, create, add_ann, add_bob, seed = _blocks("sh")[0].splitlines()
    (get,) = _blocks("sh")[1].splitlines()
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").write_bytes(bytes(range(256)) * 1000)
    with _running(tracker.replace("8443", "0"), tmp_path, {}) as lines:
        told = dict(line.split(" ", 1) for line in lines(5))
        assert all(f"\n| `{name}` | " in DOCUMENT.read_text() for name in told if name != "port")
        _run(create, tmp_path, told)
        for name, command in (("ann", add_ann), ("bob", add_bob)):
            _, _, password = _run(command, tmp_path, told).strip().partition(": password ")
            _write_accounts(tmp_path / f"{name}.toml", name, password, told)
        with _running(seed, tmp_path, told) as seed_lines:
            assert seed_lines(1)[0].startswith("listening on port ")
            assert "complete, every piece verified" in _run(get, tmp_path, told)
        listed = _run("btresearch member list --state tracker", tmp_path, told)
        assert listed.count("last certificate 20") == 2
        assert "removed" in _run("btresearch member remove bob --state tracker", tmp_path, told)
        refused = _run(get.replace("downloads", "again"), tmp_path, told, status=1)
        assert "no member of this torrent" in refused and "Traceback" not in refused


def _write_accounts(path: Path, name: str, password: str, told: dict[str, str]) -> None:
    (text,) = _blocks("toml")
    for shown, real in (
        ("https://127.0.0.1:8443", told["est"]),
        ("ann", name),
        ("shown once", password),
        ("64 hexadecimal digits", told["pin"]),
    ):
        assert shown in text
        text = text.replace(shown, real)
    path.touch(mode=0o600)
    path.write_text(text)


def _shell(command: str, told: dict[str, str]) -> list[str]:
    words = Template(command).substitute(told).split()
    assert words[0] == "btresearch"
    return [sys.executable, "-m", "btresearch.cli", *words[1:]]


def _run(command: str, folder: Path, told: dict[str, str], *, status: int = 0) -> str:
    done = subprocess.run(
        _shell(command, told), cwd=folder, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == status, done.stderr
    return done.stdout if status == 0 else done.stderr


@contextlib.contextmanager
def _running(command: str, folder: Path, told: dict[str, str]) -> Iterator[Callable[[int], list[str]]]:
    """Its next lines, as many as asked for."""
    process = subprocess.Popen(
        _shell(command, told), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    output = process.stdout
    assert output is not None
    try:
        yield lambda count: [output.readline().strip() for _ in range(count)]
    finally:
        process.terminate()
        process.communicate(timeout=10)
