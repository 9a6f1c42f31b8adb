"""Own tracker with the own client, with raw queries, and with libtorrent."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from btresearch.peer import Address, AnnounceRequest, KnownPeer, bencode
from btresearch.session import TrackerError, TrackerServer
from btresearch.session import tracker_swarms as module
from btresearch.session.tracker_client import Trackers, announce
from tests.session.swarming import fetch, free_port, seeding, single

IH = bytes(range(0, 250, 13))  # every kind of byte that a URL must escape


def _peer(number: int, **fields: Any) -> AnnounceRequest:
    return AnnounceRequest(infohash=IH, peer_id=b"-XX0000-%012d" % number, port=6000 + number, **fields)


async def _raw(tracker: TrackerServer, query: str) -> dict[bytes, Any]:
    from yarl import URL

    async with aiohttp.ClientSession() as http:
        url = URL(f"http://{tracker.host}:{tracker.port}/{query}", encoded=True)
        async with http.get(url) as response:
            value = bencode.decode(await response.read())
    assert isinstance(value, dict)
    return value


def test_peers_come_and_go() -> None:
    async def main() -> None:
        async with TrackerServer() as tracker, aiohttp.ClientSession() as http:
            first = await announce(http, tracker.url, _peer(1, left=5, event="started"))
            assert (first.peers, first.seeds, first.leeches) == ((), 0, 1)
            second = await announce(http, tracker.url, _peer(2, event="started"))
            assert second.peers == (KnownPeer(Address("127.0.0.1", 6001)),)
            assert (second.seeds, second.leeches, second.interval_s) == (1, 1, 120)
            await announce(http, tracker.url, _peer(1, event="completed"))
            assert tracker.counts() == {IH: {b"complete": 2, b"downloaded": 1, b"incomplete": 0}}
            await announce(http, tracker.url, _peer(2, event="stopped"))
            assert tracker.counts()[IH][b"complete"] == 1

    asyncio.run(main())


def test_silent_peers_expire() -> None:
    async def main() -> None:
        now = 0
        async with (
            TrackerServer(interval_s=60, now_ns=lambda: now) as tracker,
            aiohttp.ClientSession() as http,
        ):
            await announce(http, tracker.url, _peer(1, left=1))
            now = 119 * 10**9
            assert len((await announce(http, tracker.url, _peer(2, left=1))).peers) == 1
            now = 121 * 10**9
            assert len((await announce(http, tracker.url, _peer(3, left=1))).peers) == 1

    asyncio.run(main())


def test_ipv6_and_dictionary_answers() -> None:
    async def main() -> None:
        async with TrackerServer(host="::1") as tracker, aiohttp.ClientSession() as http:
            await announce(http, tracker.url, _peer(1, left=1))
            answer = await announce(http, tracker.url, _peer(2, left=1))
            assert answer.peers == (KnownPeer(Address("::1", 6001)),)
        async with TrackerServer() as tracker, aiohttp.ClientSession() as http:
            await announce(http, tracker.url, _peer(1, left=1))
            fields = await _raw(
                tracker, "announce?" + _peer(2, left=1).query().replace("compact=1", "compact=0")
            )
            assert fields[b"peers"] == [
                {b"ip": b"127.0.0.1", b"peer id": b"-XX0000-%012d" % 1, b"port": 6001}
            ]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("announce", b"info_hash must be 20 bytes"),
        ("announce?info_hash=" + "a" * 20, b"peer_id must be 20 bytes"),
        (f"announce?info_hash={'a' * 20}&peer_id={'b' * 20}", b"port out of range"),
        (f"announce?info_hash={'a' * 20}&peer_id={'b' * 20}&port=65536", b"port out of range"),
        (f"announce?info_hash={'a' * 20}&peer_id={'b' * 20}&port=9&event=gone", b"unknown event"),
        (f"announce?info_hash={'a' * 20}&peer_id={'b' * 20}&port=9&left=-4", b"left out of range"),
    ],
)
def test_bad_announces_are_refused(query: str, reason: bytes) -> None:
    async def main() -> None:
        async with TrackerServer() as tracker:
            assert (await _raw(tracker, query))[b"failure reason"] == reason
            assert tracker.counts() == {}

    asyncio.run(main())


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PEERS_PER_TORRENT", 2)
    monkeypatch.setattr(module, "MAX_TORRENTS", 1)

    async def main() -> None:
        async with TrackerServer() as tracker, aiohttp.ClientSession() as http:
            for number in (1, 2):
                await announce(http, tracker.url, _peer(number, left=1))
            with pytest.raises(TrackerError, match="too many peers"):
                await announce(http, tracker.url, _peer(3, left=1))
            with pytest.raises(TrackerError, match="too many torrents"):
                await announce(
                    http, tracker.url, AnnounceRequest(infohash=bytes(20), peer_id=bytes(20), port=1)
                )

    asyncio.run(main())


def test_scrape() -> None:
    async def main() -> None:
        async with TrackerServer() as tracker, aiohttp.ClientSession() as http:
            await announce(http, tracker.url, _peer(1))
            query = "scrape?info_hash=" + "".join(f"%{byte:02x}" for byte in IH) + "&info_hash=" + "a" * 20
            fields = await _raw(tracker, query)
            assert fields == {b"files": {IH: {b"complete": 1, b"downloaded": 0, b"incomplete": 0}}}

    asyncio.run(main())


def test_a_dead_tier_is_skipped_and_the_living_tracker_moves_up() -> None:
    async def main() -> None:
        async with TrackerServer() as tracker, aiohttp.ClientSession() as http:
            dead = f"http://127.0.0.1:{free_port()}/announce"
            trackers = Trackers([[dead], ["udp://127.0.0.1:1/announce", tracker.url]], rng=random.Random(1))
            answer = await trackers.announce(http, _peer(1, left=1))
            assert answer.interval_s == 120
            assert trackers._tiers[1][0] == tracker.url

    asyncio.run(main())


def test_peers_meet_through_the_tracker(tmp_path: Path) -> None:
    async def main() -> None:
        async with TrackerServer() as tracker:
            content = single(tmp_path / "in", 200_000, announce=[[tracker.url]])
            async with seeding(content):
                await fetch(content.torrent, tmp_path / "out")
                assert content.same_in(tmp_path / "out")
                assert tracker.counts()[content.torrent.infohash][b"downloaded"] == 1
            assert tracker.counts()[content.torrent.infohash][b"complete"] == 0  # everyone said goodbye

    asyncio.run(main())


@pytest.mark.interop
def test_libtorrent_announces_here(tmp_path: Path) -> None:
    lt: Any = pytest.importorskip("libtorrent")

    async def main() -> None:
        async with TrackerServer() as tracker:
            content = single(tmp_path / "in", 50_000, announce=[[tracker.url]])
            home = lt.session(
                {"listen_interfaces": f"127.0.0.1:{free_port()}", "enable_dht": False, "enable_lsd": False}
            )
            parameters = lt.load_torrent_buffer(content.torrent.dump())
            parameters.save_path = str(content.folder)
            home.add_torrent(parameters)
            deadline = time.monotonic() + 15
            while not tracker.counts() and time.monotonic() < deadline:
                await asyncio.sleep(0.05)
            assert list(tracker.counts()) == [content.torrent.infohash]

    asyncio.run(main())


def test_what_is_no_http_is_answered_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with TrackerServer() as tracker:
            for garbage in (
                b"\x16\x03\x01 no\r\n\r\n",
                b"GET /announce?" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n",
            ):
                reader, writer = await asyncio.open_connection("127.0.0.1", tracker.port)
                writer.write(garbage)
                assert b" 400 " in await asyncio.wait_for(reader.readline(), 2.0)
                writer.close()

    asyncio.run(main())
    assert not [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]
