"""What a swarm tells its trackers, at each level, and when."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
from aiohttp import web

from btresearch.peer import Address, AnnounceRequest, KnownPeer, Torrent
from btresearch.peer.announce import AnnounceResponse, encode_response
from btresearch.peer.secret import commit_of
from btresearch.peer.tls_info import TlsInfo
from btresearch.session import TrackerError, TrackerServer
from btresearch.session.accounts import Account, Accounts, origin_of
from btresearch.session.announcer import Announcer
from btresearch.session.membership import Access, Membership
from btresearch.session.node import Node
from btresearch.session.policy import Policy
from btresearch.session.secure import certificate
from btresearch.session.tracker_client import Ways, announce
from tests.session.swarming import HOST, fetch, free_port, seeding, single

SECRET = bytes(range(32))
ACCESS = Access(secret=SECRET)


def _strict(folder: Path, *, marked: tuple[str, ...] = (), **options: Any) -> Any:
    tls = TlsInfo.create("strict", commit_of(SECRET), trackers=marked)
    return single(folder, 100_000, tls=tls, secret=SECRET, **options)


def _tracker(folder: Path) -> tuple[TrackerServer, bytes]:
    folder.mkdir(exist_ok=True)
    path = certificate.kept(folder, HOST, now_s=int(time.time()))
    context, pin = certificate.context(path, path)
    return TrackerServer(tls=context), pin


def _account(url: str, pin: bytes) -> Account:
    return Account(origin_of(url), "ann", "secret word", pin=pin)


def _told(torrent: Torrent, url: str, policy: Policy) -> list[AnnounceRequest]:
    async def main() -> list[AnnounceRequest]:
        async with Node(host=HOST, policy=policy, keep_identity=False) as node:
            membership = Membership.of(torrent, secret=SECRET if torrent.tls_info else None)
            return Announcer(node, node.join(membership, torrent), [])._requests(url, "started")

    return asyncio.run(main())


def test_the_infohash_is_for_marked_https_trackers_alone(tmp_path: Path) -> None:
    torrent = _strict(tmp_path / "in", marked=("https://t.example",)).torrent
    [named] = _told(torrent, "https://t.example/announce", Policy())
    assert named.infohash == torrent.infohash
    for url in (
        "https://u.example/a",
        "http://t.example/announce",
        "udp://t.example:80/announce",
        "https://t.example:1/",
    ):
        [hidden] = _told(torrent, url, Policy())
        assert hidden.infohash == Membership.of(torrent, secret=SECRET).discovery_ids[0]
        assert hidden.infohash != torrent.infohash


@pytest.mark.parametrize(
    ("policy", "supports", "requires"),
    [
        (Policy(("clear",)), False, False),
        (Policy(("clear", "btls_basic")), True, False),
        (Policy(("btls_basic", "clear")), True, False),
        (Policy(("btls_basic",)), True, True),
    ],
)
def test_signals_follow_the_policy(policy: Policy, supports: bool, requires: bool, tmp_path: Path) -> None:
    torrent = single(tmp_path / "in").torrent
    [said] = _told(torrent, "https://t.example/announce", policy)
    assert (said.supports_tls, said.requires_tls) == (supports, requires)
    query = parse_qs(urlsplit(said.url("https://t.example/announce")).query)
    assert ("supporttls" in query, "requiretls" in query) == (supports, requires)
    assert "tls" not in said.url("http://t.example/announce").partition("?")[2]


def test_a_hybrid_is_announced_under_both_names(tmp_path: Path) -> None:
    torrent = single(tmp_path / "in", version="hybrid").torrent
    said = _told(torrent, "http://t.example/announce", Policy())
    assert [each.infohash for each in said] == [torrent.infohashes[0], torrent.infohashes[1][:20]]


@pytest.mark.parametrize("scheme", ["http", "udp"])
def test_a_strict_swarm_meets_under_its_discovery_id(scheme: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with TrackerServer() as tracker:
            url = tracker.url if scheme == "http" else tracker.udp_url
            content = _strict(tmp_path / "in", announce=[[url]])
            async with seeding(content, access=ACCESS):
                await fetch(content.torrent, tmp_path / "out", access=ACCESS)
            assert content.same_in(tmp_path / "out")
            [announced] = tracker.counts()
            assert announced == Membership.of(content.torrent, secret=SECRET).discovery_ids[0]
            assert tracker.counts()[announced] == {b"complete": 0, b"downloaded": 1, b"incomplete": 0}

    asyncio.run(main())


def test_a_strict_swarm_meets_under_its_infohash_at_a_marked_tracker(tmp_path: Path) -> None:
    async def main() -> None:
        tracker, pin = _tracker(tmp_path / "tls")
        async with tracker:
            url = tracker.url
            access = Access(secret=SECRET, accounts=Accounts({origin_of(url): _account(url, pin)}))
            content = _strict(tmp_path / "in", marked=(origin_of(url),), announce=[[url, tracker.udp_url]])
            async with seeding(content, access=access):
                await fetch(content.torrent, tmp_path / "out", access=access)
            assert list(tracker.counts()) == [content.torrent.infohash], "and its other URL was left alone"

    asyncio.run(main())


def test_signals_are_returned_over_https_and_nowhere_else(tmp_path: Path) -> None:
    def peer(number: int, **signals: Any) -> AnnounceRequest:
        return AnnounceRequest(bytes(20), bytes([number]) * 20, number, left=1, **signals)

    async def main() -> None:
        tracker, pin = _tracker(tmp_path / "tls")
        async with tracker, aiohttp.ClientSession() as http:
            ways = Ways(account=_account(tracker.url, pin))
            await announce(http, tracker.url, peer(1, supports_tls=True), ways)
            await announce(http, tracker.url, peer(2, requires_tls=True, supports_tls=True), ways)
            await announce(http, tracker.url, peer(3), ways)
            seen = await announce(http, tracker.url, peer(4, supports_tls=True), ways)
            assert set(seen.peers) == {
                KnownPeer(Address(HOST, 1), tls=True),
                KnownPeer(Address(HOST, 2), tls=True, requires_tls=True),
                KnownPeer(Address(HOST, 3)),
            }
            plain = await announce(http, tracker.url, peer(5), ways)
            assert Address(HOST, 2) not in {each.address for each in plain.peers}, "it could not be reached"
            udp = await announce(http, tracker.udp_url, peer(6, supports_tls=True))
            assert not any(each.tls for each in udp.peers)

    asyncio.run(main())


def test_a_plain_tracker_keeps_no_signals() -> None:
    async def main() -> None:
        async with TrackerServer() as tracker, aiohttp.ClientSession() as http:
            said = AnnounceRequest(bytes(20), b"1" * 20, 1, left=1)
            async with http.get(f"{tracker.url}?{said.query()}&supporttls=1&requiretls=1") as response:
                assert response.status == 200
            assert (
                await announce(http, tracker.url, AnnounceRequest(bytes(20), b"2" * 20, 2, left=1))
            ).peers == (KnownPeer(Address(HOST, 1)),)

    asyncio.run(main())


def test_an_https_tracker_must_be_the_one_that_is_known(tmp_path: Path) -> None:
    async def main() -> None:
        tracker, pin = _tracker(tmp_path / "tls")
        async with tracker, aiohttp.ClientSession() as http:
            said = AnnounceRequest(bytes(20), b"1" * 20, 1)
            for ways in (Ways(), Ways(account=_account(tracker.url, bytes(32)))):
                with pytest.raises(TrackerError) as refused:
                    await announce(http, tracker.url, said, ways)
                assert "secret word" not in str(refused.value)
            assert tracker.counts() == {}
            await announce(http, tracker.url, said, Ways(account=_account(tracker.url, pin)))

    asyncio.run(main())


def test_events_in_their_order(tmp_path: Path) -> None:
    heard: list[tuple[str, str]] = []

    async def main() -> None:
        async def listen(request: web.Request) -> web.Response:
            heard.append((request.query.get("event", ""), request.query["left"]))
            return web.Response(body=encode_response(AnnounceResponse(60)))

        app = web.Application()
        app.router.add_get("/announce", listen)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, HOST, 0).start()
        content = single(tmp_path / "in", 100_000)
        url = f"http://{HOST}:{runner.addresses[0][1]}/announce"
        announced = single(tmp_path / "in2", 100_000, announce=[[url]]).torrent
        assert announced.infohash == content.torrent.infohash
        async with seeding(content) as seed:
            await fetch(announced, tmp_path / "out", seed.port)
        await runner.cleanup()

    asyncio.run(main())
    assert heard == [("started", "100000"), ("completed", "0"), ("stopped", "0")]


def test_a_dead_tracker_keeps_nobody_from_ending(tmp_path: Path) -> None:
    content = single(tmp_path / "in", 50_000, announce=[[f"http://{HOST}:{free_port()}/announce"]])

    async def main() -> float:
        async with seeding(content) as seed:
            await fetch(content.torrent, tmp_path / "out", seed.port)
            began_s = time.monotonic()
        return time.monotonic() - began_s

    assert asyncio.run(main()) < 2.0
