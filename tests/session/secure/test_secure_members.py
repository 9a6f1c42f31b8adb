"""The database of members: entitlements, limits, and what is left of it after SIGKILL."""

from __future__ import annotations

import contextlib
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from btresearch.session.secure import Members, MembersError
from btresearch.session.secure.errors import Refused
from btresearch.session.secure.members import (
    MAX_PER_MEMBER,
    MAX_PER_TORRENT,
    PER_TORRENT_S,
    Entitlement,
    Issue,
)
from btresearch.session.secure.schema import FILE
from tests.session.secure.tracking import NOW_S, OTHER, V1, V2, registered

WRITER = """
import sys, itertools
from pathlib import Path
from btresearch.session.secure import Members
start = int(sys.argv[2])
with Members(Path(sys.argv[1])) as members:
    for number in itertools.count(start):
        name = f"m{number}"
        members.register((number.to_bytes(20, "big"), number.to_bytes(32, "little")))
        members.add(name, "hash", now_s=number)
        members.entitle(name, number.to_bytes(32, "little"))
        print(number, flush=True)
"""


def _issue(number: int, at_s: int = NOW_S, life_s: int = 100) -> Issue:
    return Issue(number.to_bytes(20, "big"), bytes([number % 256]) * 32, at_s, at_s + life_s)


def test_entitlement_by_every_infohash_of_a_hybrid(tmp_path: Path) -> None:
    with registered(tmp_path, "ann") as members:
        held = members.entitlement("ann", V1)
        assert held == Entitlement("ann", held.torrent, (V1, V2))
        assert members.entitlement("ann", V2) == members.entitlement("ann", V2[:20]) == held
        assert members.entitled(held.torrent) == {"ann"}
        for name, infohash in (("ann", OTHER), ("bob", V1), ("ann", bytes(20)), ("ann", V2[:19])):
            with pytest.raises(Refused, match=r"^not entitled to this torrent$") as refused:
                members.entitlement(name, infohash)
            assert refused.value.status == 403


def test_removal_holds_at_once_for_every_handle(tmp_path: Path) -> None:
    with registered(tmp_path, "ann", "bob") as members, Members(tmp_path) as other:
        held = other.entitlement("ann", V1)
        members.remove("ann")
        assert other.password_hash("ann") is None
        assert other.entitled(held.torrent) == {"bob"}
        with pytest.raises(Refused):
            other.entitlement("ann", V1)
        with pytest.raises(Refused):  # between the check and the issue
            other.log(held, _issue(1))
        members.add("ann", "new", now_s=NOW_S)
        assert other.password_hash("ann") == "new"
        with pytest.raises(Refused):
            other.entitlement("ann", V1)


def test_withdrawing_one_torrent_leaves_the_others(tmp_path: Path) -> None:
    with registered(tmp_path, "ann") as members:
        members.entitle("ann", OTHER)
        members.withdraw("ann", V2)
        assert members.entitlement("ann", OTHER).infohashes == (OTHER,)
        with pytest.raises(MembersError, match="not entitled"):
            members.withdraw("ann", V2)


def test_a_hybrid_known_by_one_infohash_gets_the_other(tmp_path: Path) -> None:
    with Members(tmp_path) as members:
        members.register((V1,))
        members.register((V1, V2))
        members.register((OTHER,))
        assert [hashes for _, hashes in members.torrents()] == [(V1, V2), (OTHER,)]
        with pytest.raises(MembersError, match="two torrents"):
            members.register((OTHER, V2))
        with pytest.raises(MembersError):  # both would be announced as the same 20 bytes
            members.register((V2[:20],))
        with pytest.raises(MembersError, match="or both"):
            members.register((V1, bytes(20)))
        assert members.torrents()[0][1] == (V1, V2)
        for bad in ((), (bytes(19),), (bytes(33),)):
            with pytest.raises(MembersError, match="20 or 32 bytes"):
                members.register(bad)


@pytest.mark.parametrize("name", ["", "a b", "a:b", "-a", "a" * 65, "a\n", "ä", "a\0"])
def test_names_that_are_none(tmp_path: Path, name: str) -> None:
    with Members(tmp_path) as members, pytest.raises(MembersError, match="64 letters"):
        members.add(name, "hash", now_s=0)


def test_unknown_members_and_torrents(tmp_path: Path) -> None:
    with registered(tmp_path, "ann") as members:
        for call in (lambda: members.remove("bob"), lambda: members.entitle("bob", V1)):
            with pytest.raises(MembersError, match="no member"):
                call()
        with pytest.raises(MembersError, match="no such torrent"):
            members.entitle("ann", bytes(20))


def test_issues_are_limited_per_torrent_and_hour(tmp_path: Path) -> None:
    with registered(tmp_path, "ann", "bob") as members:
        members.entitle("ann", OTHER)
        held = members.entitlement("ann", V1)
        for number in range(MAX_PER_TORRENT):
            members.log(held, _issue(number, NOW_S + number))
        with pytest.raises(Refused) as refused:
            members.log(held, _issue(99, NOW_S + 100))
        assert (refused.value.status, refused.value.retry_after_s) == (429, PER_TORRENT_S - 100)
        members.log(members.entitlement("ann", OTHER), _issue(100, NOW_S + 100))
        members.log(members.entitlement("bob", V1), _issue(101, NOW_S + 100))
        members.log(held, _issue(102, NOW_S + PER_TORRENT_S + 1))


def test_issues_are_limited_per_member_and_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_PER_MEMBER >= 24 * 40  # a member of 40 torrents renews each twice in two hours
    monkeypatch.setattr("btresearch.session.secure.members.MAX_PER_MEMBER", 3)
    with registered(tmp_path, "ann") as members:
        members.entitle("ann", OTHER)
        for number in range(3):
            members.log(members.entitlement("ann", (V1, OTHER)[number % 2]), _issue(number))
        with pytest.raises(Refused) as refused:
            members.log(members.entitlement("ann", V1), _issue(9, NOW_S + 3600))
        assert refused.value.status == 429


def test_expired_certificates_are_no_ones(tmp_path: Path) -> None:
    with registered(tmp_path, "ann", "bob") as members:
        held = members.entitlement("ann", V1)
        members.log(held, _issue(1, NOW_S))
        members.log(held, _issue(2, NOW_S + 50))
        assert [one.pin[0] for one in members.issues(held, now_s=NOW_S + 60)] == [2, 1]
        assert [one.pin[0] for one in members.issues(held, now_s=NOW_S + 100)] == [2]
        assert members.issues(members.entitlement("bob", V1), now_s=NOW_S) == ()
        assert [(one.name, one.last_issued_s) for one in members.everyone()] == [
            ("ann", NOW_S + 50),
            ("bob", None),
        ]


def test_file_is_its_owners_and_damage_is_told(tmp_path: Path) -> None:
    registered(tmp_path, "ann").close()
    path = tmp_path / FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_bytes(b"no database at all, whatever its length is" * 100)
    with pytest.raises(MembersError, match="no usable database"):
        Members(tmp_path)


def test_another_schema_version_is_left_alone(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / FILE)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(MembersError, match="schema version 99, expected 1"):
        Members(tmp_path)


def test_durability_settings(tmp_path: Path) -> None:
    with registered(tmp_path) as members:
        assert members._rows("PRAGMA journal_mode") == [("wal",)]
        assert members._rows("PRAGMA synchronous") == [(2,)]  # FULL
        assert members._rows("PRAGMA foreign_keys") == [(1,)]


def test_threads_share_one_handle(tmp_path: Path) -> None:
    with registered(tmp_path) as members:
        threads = [
            threading.Thread(target=lambda n=n: members.add(f"m{n}", "hash", now_s=n)) for n in range(20)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(members.everyone()) == 20


@contextlib.contextmanager
def _writer(folder: Path, start: int):  # type: ignore[no-untyped-def]
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), str(start)], stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _acknowledged(process: subprocess.Popen[str], count: int) -> list[int]:
    """Lines until `count` are there, SIGKILL, and what came until it hit."""
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(count)]
    process.kill()
    return [int(line) for line in [*lines, *process.stdout.read().split("\n")] if line.strip()]


@pytest.mark.slow
def test_state_after_sigkill(tmp_path: Path) -> None:
    promised: list[int] = []
    for start in range(0, 6_000_000, 1_000_000):
        with _writer(tmp_path, start + 1) as process:
            promised += _acknowledged(process, 3 + start // 500_000)
        with Members(tmp_path) as members:
            assert members._rows("PRAGMA integrity_check") == [("ok",)]
            assert members._rows("PRAGMA foreign_key_check") == []
            for number in promised:
                assert members.entitlement(f"m{number}", number.to_bytes(20, "big")).infohashes == (
                    number.to_bytes(20, "big"),
                    number.to_bytes(32, "little"),
                )
    assert len(promised) >= 48


@pytest.mark.slow
def test_two_processes_write_at_once(tmp_path: Path) -> None:
    with _writer(tmp_path, 1) as one, _writer(tmp_path, 1_000_001) as two:
        done = _acknowledged(one, 20) + _acknowledged(two, 20)
    with Members(tmp_path) as members:
        names = {member.name for member in members.everyone()}
        assert {f"m{number}" for number in done} <= names
        assert members._rows("PRAGMA integrity_check") == [("ok",)]
