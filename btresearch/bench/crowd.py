"""Two hundred connections at once, some of them hostile: no honest one may fail."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import statistics
import struct
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from btresearch.bench.guest import Guest
from btresearch.bench.host import HostProcess, Stock, host_process
from btresearch.bench.party import Party
from btresearch.transport import Transport

ADDRESS = "127.0.0.1"
TORRENTS = 3  # a torrent has 80 places
PATIENCE_S = 30.0
TARGET_RSS_MB = 500.0
SLOW_S = 0.1


@dataclass(frozen=True)
class Crowd:
    """Who got in, of whom; `admitted_hostile` heard BitTorrent and must be 0. Times until the handshake."""

    connections: int
    honest: int
    honest_failed: int
    hostile: int
    admitted_hostile: int
    median_s: float
    worst_s: float
    peak_rss_mb: float
    cpu_s: float
    met: bool


def run(
    *, connections: int = 200, hostile_share: float = 0.1, transport: str = "btls_basic", seed: int = 1
) -> Crowd:
    """Bring all connections up within a second, hold them until every honest one has its handshake."""
    with tempfile.TemporaryDirectory(prefix="btresearch-bench-") as home:
        folders = [Path(home) / str(number) for number in range(TORRENTS)]
        for folder in folders:
            folder.mkdir()
        stocks = [Stock.make(folder) for folder in folders]
        with host_process(transport, folders=folders) as host:
            hostile = round(connections * hostile_share)
            visits = _Visits(host.port, transport, stocks, random.Random(seed))
            times, admitted = asyncio.run(visits.all(connections - hostile, hostile))
            return _row(times, hostile, admitted, host)


def _row(times: Sequence[float | None], hostile: int, admitted: int, host: HostProcess) -> Crowd:
    good = [seconds for seconds in times if seconds is not None]
    used = host.finish()
    return Crowd(
        connections=len(times) + hostile,
        honest=len(times),
        honest_failed=len(times) - len(good),
        hostile=hostile,
        admitted_hostile=admitted,
        median_s=round(statistics.median(good), 3) if good else 0.0,
        worst_s=round(max(good, default=0.0), 3),
        peak_rss_mb=round(used["peak_rss_mb"], 1),
        cpu_s=round(used["cpu_s"], 2),
        met=len(good) == len(times) and not admitted and used["peak_rss_mb"] <= TARGET_RSS_MB,
    )


class _Visits:
    def __init__(self, port: int, transport: str, stocks: Sequence[Stock], rng: random.Random) -> None:
        self._port, self._transport, self._stocks, self._rng = port, transport, stocks, rng
        self._stranger = Party(os.urandom(20))
        self._everybody_in = asyncio.Event()
        self._guests: list[Guest] = []

    async def all(self, honest: int, hostile: int) -> tuple[list[float | None], int]:
        """Seconds until the handshake of each honest one, None for a failure; how many hostile ones got in."""
        kinds: Sequence[Callable[[], Awaitable[bool]]] = (
            self._slowloris,
            self._garbage,
            self._wrong_proof,
            self._half_handshake,
            self._reset,
        )
        foes = [asyncio.ensure_future(kinds[number % len(kinds)]()) for number in range(hostile)]
        guests = [asyncio.ensure_future(self._come(number)) for number in range(honest)]
        times = await asyncio.gather(*guests)
        self._everybody_in.set()
        admitted = sum(await asyncio.gather(*foes))
        await asyncio.gather(*(guest.leave() for guest in self._guests))
        return list(times), admitted

    async def _come(self, number: int) -> float | None:
        stock = self._stocks[number % len(self._stocks)]
        await asyncio.sleep(self._rng.random())
        return await self._greeted(stock.party.initiator(self._transport), stock)

    async def _greeted(
        self, transport: Transport, stock: Stock, infohash: bytes | None = None
    ) -> float | None:
        """Connect and stay; seconds until the other end's handshake, None if it never comes."""
        guest = Guest(transport, infohash or stock.infohash, stock.layout, ADDRESS)
        self._guests.append(guest)
        try:
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.get_running_loop().create_connection(lambda: guest, ADDRESS, self._port)
                return await guest.greeted
        except (OSError, TimeoutError):
            return None

    async def _dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        await asyncio.sleep(self._rng.random())
        return await asyncio.open_connection(ADDRESS, self._port)

    def _client_hello(self) -> bytes:
        return self._stranger.initiator("btls_basic").start()

    async def _slowloris(self) -> bool:
        """A byte at a time, for as long as the crowd is there."""
        _, writer = await self._dial()
        for byte in self._client_hello():
            if self._everybody_in.is_set():
                break
            with suppress(OSError):
                writer.write(bytes([byte]))
                await writer.drain()
            await asyncio.sleep(SLOW_S)
        await _hang_up(writer)
        return False

    async def _garbage(self) -> bool:
        """Random bytes; what comes back must not be BitTorrent."""
        reader, writer = await self._dial()
        heard = b""
        with suppress(OSError, TimeoutError):
            writer.write(self._rng.randbytes(5000))
            async with asyncio.timeout(PATIENCE_S):
                heard = await reader.read(1 << 16)
        await _hang_up(writer)
        return b"BitTorrent protocol" in heard

    async def _wrong_proof(self) -> bool:
        """A good handshake and the proof of a torrent that isn't here."""
        proof = self._stranger.initiator("btls_basic")
        return await self._greeted(proof, self._stocks[0], self._stranger.infohash) is not None

    async def _half_handshake(self) -> bool:
        """A ClientHello, and silence."""
        _, writer = await self._dial()
        writer.write(self._client_hello())
        await self._everybody_in.wait()
        await _hang_up(writer)
        return False

    async def _reset(self) -> bool:
        """Again and again: a few bytes and a reset."""
        while not self._everybody_in.is_set():
            with suppress(OSError):
                _, writer = await self._dial()
                writer.write(self._client_hello()[:100])
                # linger on, for no time: close sends RST
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                await _hang_up(writer)
        return False


async def _hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
