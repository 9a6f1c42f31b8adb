"""Level Full end to end: peers that enrol by EST find each other by HTTPS announce, with pins, and transfer."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from btresearch.peer import Torrent
from btresearch.peer.secret import commit_of
from btresearch.peer.tls_info import TlsInfo
from btresearch.session import get
from btresearch.session.accounts import Account, Accounts
from btresearch.session.errors import EnrolmentError, EnrolmentRefused
from btresearch.session.membership import Access
from btresearch.session.renewal import enrolling
from btresearch.session.secure import Members, SecureTracker, passwords, swarms
from btresearch.session.secure.authority import BACKDATED_S
from tests.session.secure.tracking import PASSWORD
from tests.session.swarming import HOST, Content, Seeding, seeding, single

SECRET = bytes(range(32))
INTERVAL_S = 5
BTLS = {"host": HOST, "transports": ["btls_basic"]}


def _full(content: Content, tracker: SecureTracker) -> Content:
    plain = content.torrent
    tls = TlsInfo.create(
        "full", commit_of(SECRET), ca=(tracker.ca,), est=tracker.origin, trackers=(tracker.origin,)
    )
    torrent = Torrent.create(
        plain.name,
        [((), plain.total_bytes)],
        plain.pieces,
        piece_length_bytes=plain.piece_length_bytes,
        announce=[[tracker.url]],
        tls=tls,
        secret=SECRET,
    )
    return Content(torrent, content.folder)


def _access(tracker: SecureTracker, name: str, **changes: Any) -> Access:
    fields = {"origin": tracker.origin, "user": name, "password": PASSWORD, "pin": tracker.pin} | changes
    account = Account(**fields)
    accounts = Accounts({account.origin: account})
    return Access(enrol=enrolling(accounts, rng=random.Random(name)), accounts=accounts)


def _register(members: Members, torrent: Torrent, *names: str) -> None:
    members.register(torrent.infohashes, torrent.name)
    for name in names:
        members.add(name, passwords.hashed(PASSWORD), now_s=0)
        members.entitle(name, torrent.infohash)


@contextlib.asynccontextmanager
async def _swarm(tmp_path: Path, **options: Any) -> Any:
    async with SecureTracker(tmp_path / "state", interval_s=INTERVAL_S, **options) as tracker:
        content = _full(single(tmp_path / "in", 300_000), tracker)
        with Members(tmp_path / "state") as members:
            _register(members, content.torrent, "ann", "bob")
            yield tracker, content, members


def test_members_find_each_other_and_transfer(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            _swarm(tmp_path) as (tracker, content, members),
            seeding(content, access=_access(tracker, "ann"), **BTLS),
        ):
            await _announced(tracker)
            async with asyncio.timeout(20):
                await get(content.torrent, tmp_path / "out", access=_access(tracker, "bob"), **BTLS)
            assert content.same_in(tmp_path / "out")
            issued = {row.name: row.last_issued_s for row in members.everyone()}
            assert issued["ann"] and issued["bob"]

    asyncio.run(main())


async def _announced(tracker: SecureTracker) -> None:
    """Until somebody is listed."""
    async with asyncio.timeout(10):
        while not tracker.peers:
            await asyncio.sleep(0.02)


def test_who_is_no_member_gets_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            _swarm(tmp_path) as (tracker, content, members),
            seeding(content, access=_access(tracker, "ann"), **BTLS) as seed,
        ):
            members.remove("bob")
            peers = [(HOST, seed.port)]
            for name, changes, error in (
                ("bob", {}, EnrolmentRefused),
                ("eve", {}, EnrolmentRefused),
                ("ann", {"password": "wrong wrong wrong"}, EnrolmentRefused),
                ("ann", {"origin": "https://tracker.example"}, EnrolmentError),
                ("ann", {"pin": bytes(32)}, EnrolmentError),
            ):
                with pytest.raises(error):
                    access = _access(tracker, name, **changes)
                    await get(content.torrent, tmp_path / "out", access=access, peers=peers, **BTLS)
            assert not (tmp_path / "out").exists() or not any((tmp_path / "out").iterdir())

    asyncio.run(main())


def test_a_peer_with_another_key_than_its_pin_is_not_talked_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = swarms._peer
    monkeypatch.setattr(swarms, "_peer", lambda *said: replace(listed(*said), pin=b"\1" * 32))

    async def main() -> None:
        async with (
            _swarm(tmp_path) as (tracker, content, _),
            seeding(content, access=_access(tracker, "ann"), **BTLS) as seed,
        ):
            await _announced(tracker)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(3):
                    await get(content.torrent, tmp_path / "out", access=_access(tracker, "bob"), **BTLS)
            assert seed.progress[-1].uploaded_bytes == 0

    asyncio.run(main())


@pytest.mark.slow
@pytest.mark.parametrize("removed", [False, True])
def test_a_removed_member_is_cut_off_when_his_certificate_expires(tmp_path: Path, removed: bool) -> None:
    """Certificates of 3 s, a transfer of 8 s: who may renew completes it, who may not does not."""

    async def main() -> bool:
        async with (
            _swarm(tmp_path, life_s=BACKDATED_S + 3) as (tracker, content, members),
            seeding(content, access=_access(tracker, "ann"), upload_bytes_per_s=40_000, **BTLS) as seed,
        ):
            await _announced(tracker)
            getting = asyncio.create_task(
                get(content.torrent, tmp_path / "out", access=_access(tracker, "bob"), **BTLS)
            )
            await _uploading(seed)
            if removed:
                removed_s = time.time()
                members.remove("bob")
                await _left(seed)
                # Its certificate was good for 3 s more at most; an announce interval later nobody serves it.
                assert time.time() - removed_s < 3 + INTERVAL_S
                before = seed.progress[-1].uploaded_bytes
                await asyncio.sleep(INTERVAL_S)
                assert seed.progress[-1].uploaded_bytes == before
                assert seed.progress[-1].peers == 0
                with pytest.raises(EnrolmentRefused):
                    await get(content.torrent, tmp_path / "again", access=_access(tracker, "bob"), **BTLS)
            else:
                await asyncio.wait([getting], timeout=40)
            done = getting.done()
            getting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await getting
            return done

    assert asyncio.run(main()) is not removed


async def _left(seed: Seeding) -> None:
    async with asyncio.timeout(15):
        while seed.progress[-1].peers:
            await asyncio.sleep(0.05)


async def _uploading(seed: Seeding) -> None:
    async with asyncio.timeout(10):
        while not seed.progress[-1].uploaded_bytes:
            await asyncio.sleep(0.02)
