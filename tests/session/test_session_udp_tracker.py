"""UDP trackers: own client and server, opentracker, and a tracker that lies, drops or says nothing."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import struct
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from btresearch.peer import Address, AnnounceRequest, KnownPeer, udp_tracker
from btresearch.peer.udp_tracker import Counts
from btresearch.session import TrackerError, TrackerServer
from btresearch.session.tracker_client import announce
from btresearch.session.udp_client import UdpTracker
from tests.session.swarming import HOST, fetch, free_port, seeding, single

IH = bytes(range(20))


def _peer(number: int, **fields: object) -> AnnounceRequest:
    return AnnounceRequest(IH, b"-XX0000-%012d" % number, 6000 + number, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("host", [HOST, "::1"])
def test_peers_meet_over_udp_and_http(host: str) -> None:
    async def main() -> None:
        async with TrackerServer(host=host) as server, aiohttp.ClientSession() as http:
            first = await announce(http, server.udp_url, _peer(1, left=5, event="started"))
            assert (first.peers, first.seeds, first.leeches, first.interval_s) == ((), 0, 1, 120)
            second = await announce(http, server.url, _peer(2))
            assert second.peers == (KnownPeer(Address(host, 6001)),)
            assert second.external_ip == host
            third = await UdpTracker(server.udp_url).announce(_peer(3, left=1))
            assert {peer.address for peer in third.peers} == {Address(host, 6001), Address(host, 6002)}
            await announce(http, server.udp_url, _peer(1, event="completed"))
            assert await UdpTracker(server.udp_url).scrape([IH, bytes(20)]) == (
                Counts(2, 1, 1),
                Counts(0, 0, 0),
            )
            await announce(http, server.udp_url, _peer(2, event="stopped"))
            assert server.counts()[IH][b"complete"] == 1

    asyncio.run(main())


def test_what_the_tracker_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("btresearch.session.tracker_swarms.MAX_PEERS_PER_TORRENT", 0)

    async def main() -> None:
        async with TrackerServer() as server, aiohttp.ClientSession() as http:
            with pytest.raises(
                TrackerError, match=r"^udp://127.0.0.1:\d+/announce: refused: too many peers$"
            ):
                await announce(http, server.udp_url, _peer(1))

    asyncio.run(main())


def test_a_forged_connection_id_is_answered_by_silence() -> None:
    async def main() -> None:
        async with TrackerServer() as server:
            heard = _Heard()
            transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                lambda: heard, remote_addr=(HOST, server.port)
            )
            transport.sendto(udp_tracker.announce(0x1234, 1, _peer(1), key=0))
            transport.sendto(udp_tracker.scrape(0x1234, 2, [IH]))
            transport.sendto(b"garbage of some length, no tracker's")
            transport.sendto(udp_tracker.connect(3))
            async with asyncio.timeout(2):
                while not heard.packets:
                    await asyncio.sleep(0.01)
            transport.close()
            assert [udp_tracker.is_answer(packet, 3) for packet in heard.packets] == [True]
            assert server.counts() == {}

    asyncio.run(main())


class _Heard(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.packets: list[bytes] = []

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.packets.append(data)


class _Liar(asyncio.DatagramProtocol):
    """Answers the n-th packet with the packets that `script` returns for it."""

    def __init__(self, script: Callable[[int, bytes], list[bytes]]) -> None:
        self.script, self.count = script, 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        for packet in self.script(self.count, data):
            self.transport.sendto(packet, addr)  # type: ignore[attr-defined]
        self.count += 1


@contextlib.asynccontextmanager
async def _lying(script: Callable[[int, bytes], list[bytes]]) -> AsyncIterator[tuple[str, _Liar]]:
    transport, liar = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Liar(script), local_addr=(HOST, 0)
    )
    yield f"udp://{HOST}:{transport.get_extra_info('sockname')[1]}/announce?key=1", liar
    transport.close()


def _honest(data: bytes, connection: int = 7) -> bytes:
    transaction = int.from_bytes(data[12:16], "big")
    if len(data) == 16:
        return udp_tracker.answer_connect(transaction, connection)
    return struct.pack(">IIIII", 1, transaction, 60, 0, 0)


def test_lost_packets_are_sent_again_and_strange_ones_ignored() -> None:
    def script(count: int, data: bytes) -> list[bytes]:
        strange = [b"", bytes(8), udp_tracker.answer_error(1, "not yours")]
        return [] if count in (0, 2) else [*strange, _honest(data)]

    async def main() -> None:
        async with _lying(script) as (url, liar):
            answer = await UdpTracker(url, tries=4, first_wait_s=0.05).announce(_peer(1))
            assert (answer.interval_s, answer.peers) == (60, ())
            assert liar.count == 4, "connect, connect, announce, announce: the id still holds"

    asyncio.run(main())


def test_a_connection_id_is_used_for_a_minute() -> None:
    now_s, seen = 0.0, []

    def script(count: int, data: bytes) -> list[bytes]:
        seen.append(len(data))
        return [_honest(data)]

    async def main() -> None:
        nonlocal now_s
        async with _lying(script) as (url, _):
            tracker = UdpTracker(url, now_s=lambda: now_s)
            for now_s in (0.0, 59.0, 60.0):  # noqa: B007
                await tracker.announce(_peer(1))

    asyncio.run(main())
    announce_bytes = 98 + len("/announce?key=1") + 2
    assert seen == [16, announce_bytes, announce_bytes, 16, announce_bytes]


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (struct.pack(">II", 1, 0) + bytes(4), "action 1 in 12 bytes"),
        (struct.pack(">IIIII", 1, 0, 60, 0, 0) + bytes(5), "multiple of 6"),
        (struct.pack(">II", 3, 0) + b"\x1b[2J", r"refused: \\x1b\[2J"),
        (struct.pack(">II", 9, 0) + bytes(20), "action 9"),
        (struct.pack(">II", 1, 0) + bytes(9000), "packet of 9008 bytes"),
    ],
)
def test_hostile_answers_are_tracker_errors(answer: bytes, complaint: str) -> None:
    def script(count: int, data: bytes) -> list[bytes]:
        return [_honest(data) if count == 0 else answer[:4] + data[12:16] + answer[8:]]

    async def main() -> None:
        async with _lying(script) as (url, _), aiohttp.ClientSession() as http:
            with pytest.raises(TrackerError, match=complaint):
                await announce(http, url, _peer(1))

    asyncio.run(main())


def test_silence_and_a_closed_port() -> None:
    async def main() -> None:
        async with _lying(lambda count, data: []) as (url, liar):
            with pytest.raises(TrackerError, match="no answer in 0 s"):
                await UdpTracker(url, tries=2, first_wait_s=0.02).announce(_peer(1))
            assert liar.count == 2
        async with aiohttp.ClientSession() as http:
            with pytest.raises(TrackerError, match="refused"):
                await announce(http, f"udp://{HOST}:{free_port()}/announce", _peer(1))

    asyncio.run(main())


def test_nothing_of_tls_is_in_clear() -> None:
    seen: list[bytes] = []

    def script(count: int, data: bytes) -> list[bytes]:
        seen.append(data)
        return [_honest(data)]

    async def main() -> None:
        async with _lying(script) as (url, _):
            await UdpTracker(url).announce(_peer(1, supports_tls=True, requires_tls=True, tls_pin=b"p" * 32))
            await UdpTracker(url).announce(_peer(1))

    asyncio.run(main())
    varying = slice(0, 16)  # connection and transaction id; the key is drawn for each tracker object
    assert len(seen[1]) == len(seen[3])
    assert seen[1][16:88] == seen[3][16:88] and seen[1][92:] == seen[3][92:] and varying


def test_a_swarm_meets_over_udp(tmp_path: Path) -> None:
    async def main() -> None:
        async with TrackerServer() as tracker:
            content = single(tmp_path / "in", 100_000, announce=[[tracker.udp_url]])
            async with seeding(content):
                await fetch(content.torrent, tmp_path / "out")
                assert tracker.counts()[content.torrent.infohash][b"downloaded"] == 1
            assert tracker.counts()[content.torrent.infohash][b"complete"] == 0

    asyncio.run(main())


@pytest.mark.interop
def test_opentracker_understands_us(tmp_path: Path) -> None:
    program = shutil.which("opentracker")
    if program is None:
        pytest.skip("opentracker is not installed")
    port = free_port()

    async def main() -> None:
        tracker = UdpTracker(f"udp://{HOST}:{port}/announce")
        async with asyncio.timeout(5):
            while True:  # until it listens
                with contextlib.suppress(OSError):
                    answer = await tracker.announce(_peer(1, left=1))
                    break
                await asyncio.sleep(0.05)
        assert answer.leeches == 1
        assert KnownPeer(Address(HOST, 6001)) in (await tracker.announce(_peer(2, left=1))).peers
        assert await tracker.scrape([IH]) == (Counts(0, 0, 2),)

    # Debian's serves the torrents of a list alone; it drops its rights before it reads it.
    (tmp_path / "list").write_text(IH.hex() + "\n")
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    command = [program, "-i", HOST, "-P", str(port), "-d", str(tmp_path), "-w", "/list"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            asyncio.run(main())
        finally:
            process.terminate()


@pytest.mark.interop
def test_libtorrent_announces_over_udp(tmp_path: Path) -> None:
    lt: Any = pytest.importorskip("libtorrent")

    async def main() -> None:
        async with TrackerServer() as tracker:
            content = single(tmp_path / "in", 50_000, announce=[[tracker.udp_url]])
            settings = {
                "listen_interfaces": f"{HOST}:{free_port()}",
                "enable_dht": False,
                "enable_lsd": False,
            }
            home = lt.session(settings)
            parameters = lt.load_torrent_buffer(content.torrent.dump())
            parameters.save_path = str(content.folder)
            home.add_torrent(parameters)
            async with asyncio.timeout(15):
                while not tracker.counts():
                    await asyncio.sleep(0.05)
            assert list(tracker.counts()) == [content.torrent.infohash]
            home.pause()

    asyncio.run(main())
