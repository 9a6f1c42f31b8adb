"""HTTP Basic of members: garbage, limits per address and name, one answer for every kind of stranger."""

from __future__ import annotations

import asyncio
import base64
import logging
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from btresearch.session.secure import Members, passwords
from btresearch.session.secure.doorkeeper import FAILURES_PER_ADDRESS, FAILURES_S, Doorkeeper, read
from btresearch.session.secure.errors import Refused
from btresearch.session.secure.limits import MAX_NAMES, Failures
from tests.session.secure.tracking import PASSWORD, V1, basic, registered


async def _status(door: Doorkeeper, header: str | None, address: str = "192.0.2.1") -> int:
    try:
        await door.admit(header, address)
    except Refused as refused:
        return refused.status
    return 200


def test_passwords_are_salted_and_slow() -> None:
    one, two = passwords.hashed(PASSWORD), passwords.hashed(PASSWORD)
    assert one != two and PASSWORD not in one
    assert passwords.holds(one, PASSWORD) and passwords.holds(two, PASSWORD)
    assert not passwords.holds(one, PASSWORD + "x")
    assert not passwords.holds(None, PASSWORD) and not passwords.holds(None, "")
    assert len({passwords.generate() for _ in range(100)}) == 100
    assert all(len(passwords.generate()) == 24 for _ in range(10))


def test_a_member_and_every_stranger(tmp_path: Path) -> None:
    async def main(members: Members) -> None:
        door = Doorkeeper(members)
        assert await door.admit(basic("ann", PASSWORD), "192.0.2.1") == "ann"
        texts = set()
        members.remove("bob")
        for name, password in (("ann", "wrong"), ("bob", PASSWORD), ("eve", PASSWORD), ("", ""), ("ann", "")):
            with pytest.raises(Refused) as refused:
                await door.admit(basic(name, password), "192.0.2.1")
            texts.add((refused.value.status, str(refused.value), refused.value.retry_after_s))
        assert texts == {(401, "name or password is wrong", None)}

    with registered(tmp_path, "ann", "bob") as members:
        asyncio.run(main(members))


def test_the_same_work_is_done_for_everyone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    scrypt = passwords._scrypt

    def counted(password: str, salt: bytes) -> bytes:
        done.append(password)
        return scrypt(password, salt)

    async def main(members: Members) -> None:
        door = Doorkeeper(members)
        members.remove("bob")
        for name in ("ann", "bob", "eve"):
            await _status(door, basic(name, f"wrong {name}"), name)

    with registered(tmp_path, "ann", "bob") as members:
        monkeypatch.setattr(passwords, "_scrypt", counted)
        asyncio.run(main(members))
    assert done == ["wrong ann", "wrong bob", "wrong eve"]


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=300))
@example("Basic")
@example("Basic ")
@example("basic " + "A" * 5000)
@example("Bearer " + base64.b64encode(b"ann:x").decode())
@example("Basic " + base64.b64encode(b"ann").decode())
@example("Basic " + base64.b64encode(b"\xff\xfe:x").decode())
@example("Basic " + base64.b64encode(b"ann:" + b"x" * 300).decode())
def test_headers_that_are_none(header: str) -> None:
    with pytest.raises(Refused) as refused:
        read(header)
    assert refused.value.status == 401


@settings(deadline=None, max_examples=50)
@given(st.text(st.characters(exclude_characters=":", exclude_categories=("Cs",)), max_size=40))
def test_headers_round_trip(name: str) -> None:
    assert read(basic(name, "p:w")) == (name, "p:w")


def test_failures_of_an_address_are_limited(tmp_path: Path) -> None:
    async def main(members: Members) -> None:
        now = 0.0
        door = Doorkeeper(members, now_s=lambda: now)
        assert await _status(door, basic("bob", PASSWORD)) == 200
        for _ in range(FAILURES_PER_ADDRESS):
            assert await _status(door, "Basic garbage") == 401
        for header in ("Basic garbage", basic("ann", PASSWORD), basic("ann", "wrong")):
            with pytest.raises(Refused) as refused:
                await door.admit(header, "192.0.2.1")
            assert (refused.value.status, refused.value.retry_after_s) == (429, int(FAILURES_S))
        # A neighbour behind the same address who was right lately, and everyone else, go on.
        assert await _status(door, basic("bob", PASSWORD)) == 200
        assert await _status(door, basic("ann", PASSWORD), "192.0.2.2") == 200
        now = FAILURES_S
        assert await _status(door, basic("ann", PASSWORD)) == 200

    with registered(tmp_path, "ann", "bob") as members:
        asyncio.run(main(members))


def test_a_burst_of_guesses_does_not_slip_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    monkeypatch.setattr(passwords, "holds", lambda stored, password: bool(tried.append(password)))

    async def main(members: Members) -> list[int]:
        door = Doorkeeper(members)
        return await asyncio.gather(*(_status(door, basic("ann", f"guess {n}")) for n in range(50)))

    with registered(tmp_path, "ann") as members:
        found = asyncio.run(main(members))
    assert sorted(found) == [401] * FAILURES_PER_ADDRESS + [429] * (50 - FAILURES_PER_ADDRESS)
    assert len(tried) == FAILURES_PER_ADDRESS


def test_guesses_at_one_name_from_everywhere_are_limited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main(members: Members) -> None:
        door = Doorkeeper(members)
        assert await _status(door, basic("ann", PASSWORD), "192.0.2.77") == 200
        monkeypatch.setattr(passwords, "holds", lambda stored, password: False)
        found = [await _status(door, basic("ann", "guess"), f"198.51.100.{n}") for n in range(40)]
        assert found == [401] * 30 + [429] * 10
        # Nor may this lock her out where she is known.
        assert await _status(door, basic("ann", PASSWORD), "192.0.2.77") == 200

    with registered(tmp_path, "ann") as members:
        asyncio.run(main(members))


def test_a_new_password_ends_the_old_one_at_once(tmp_path: Path) -> None:
    async def main(members: Members) -> None:
        door = Doorkeeper(members)
        assert await _status(door, basic("ann", PASSWORD)) == 200
        members.add("ann", passwords.hashed("another password"), now_s=0)
        assert await _status(door, basic("ann", PASSWORD)) == 401
        assert await _status(door, basic("ann", "another password")) == 200
        members.remove("ann")
        assert await _status(door, basic("ann", "another password")) == 401

    with registered(tmp_path, "ann") as members:
        assert members.entitlement("ann", V1)
        asyncio.run(main(members))


def test_too_many_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("btresearch.session.secure.doorkeeper.MAX_WAITING", 2)

    async def main(members: Members) -> list[int]:
        door = Doorkeeper(members)
        return await asyncio.gather(
            *(_status(door, basic("ann", PASSWORD), f"198.51.100.{n}") for n in range(6))
        )

    with registered(tmp_path, "ann") as members:
        found = asyncio.run(main(members))
    assert found.count(503) == 4 and found.count(200) == 2


def test_passwords_are_in_no_log_and_no_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main(members: Members) -> str:
        door = Doorkeeper(members)
        await door.admit(basic("ann", PASSWORD), "192.0.2.1")
        try:
            await door.admit(basic("ann", "hunter2hunter2"), "192.0.2.1")
        except Refused as refused:
            return repr(refused) + repr(vars(door)) + repr(refused.__cause__)
        return ""

    with caplog.at_level(logging.DEBUG), registered(tmp_path, "ann") as members:
        said = asyncio.run(main(members))
    assert said
    for secret in (PASSWORD, "hunter2hunter2"):
        assert secret not in said + caplog.text


def test_limits_are_bounded_in_memory() -> None:
    limit = Failures(2, 10.0)
    for number in range(MAX_NAMES + 10):
        limit.add(number, 0.0)
    assert len(limit._seen) == MAX_NAMES
    limit.add("x", 0.0)
    assert limit.wait_s("x", 0.0) == 0
    limit.add("x", 3.5)
    assert [limit.wait_s("x", now) for now in (3.5, 9.2, 9.99, 10.0)] == [7, 1, 1, 0]
    limit.forgive("x")
    assert limit.wait_s("x", 3.5) == 0
