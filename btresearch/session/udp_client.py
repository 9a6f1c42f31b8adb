"""Asking UDP trackers (BEP 15): connect, then announce or scrape, each try with its own time."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from typing import cast
from urllib.parse import urlsplit

from btresearch.peer import AnnounceRequest, AnnounceResponse, udp_tracker
from btresearch.peer.udp_tracker import CONNECTION_LIFE_S, FIRST_WAIT_S, Counts
from btresearch.session.errors import TrackerError

MAX_TRIES = 2
"""Of BEP 15's nine, which would take two hours: 15 s, then 30 s; the announcer comes back later."""

Build = Callable[[int, int], bytes]


class UdpTracker:
    """One tracker; keeps its connection id for the minute that BEP 15 gives it."""

    def __init__(
        self,
        url: str,
        *,
        tries: int = MAX_TRIES,
        first_wait_s: float = FIRST_WAIT_S,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme != "udp" or not parts.hostname or not parts.port:
            raise TrackerError("expected udp://HOST:PORT")
        self._address = parts.hostname, parts.port
        self._request_path = parts.path + (f"?{parts.query}" if parts.query else "")
        self._waits_s = udp_tracker.waits_s(first_wait_s)[:tries]
        self._now_s = now_s
        self._key = _random32()
        self._connection, self._connected_s = 0, -float(CONNECTION_LIFE_S)

    async def announce(self, request: AnnounceRequest) -> AnnounceResponse:
        """Announce once. Raises TrackerError, TrackerFailure, RemoteProtocolError, OSError."""

        def build(connection: int, transaction: int) -> bytes:
            return udp_tracker.announce(
                connection, transaction, request, key=self._key, request_path=self._request_path
            )

        packet, ipv6 = await self._ask(build)
        return udp_tracker.announced(packet, ipv6=ipv6)

    async def scrape(self, infohashes: Sequence[bytes]) -> tuple[Counts, ...]:
        """Ask for counts, of up to 74 torrents. Raises as `announce`."""
        asked = list(infohashes[: udp_tracker.MAX_SCRAPE])
        packet, _ = await self._ask(
            lambda connection, transaction: udp_tracker.scrape(connection, transaction, asked)
        )
        return udp_tracker.scraped(packet, len(asked))

    async def _ask(self, build: Build) -> tuple[bytes, bool]:
        """The answer, and whether it came over IPv6."""
        loop = asyncio.get_running_loop()
        transport, endpoint = await loop.create_datagram_endpoint(_Endpoint, remote_addr=self._address)
        try:
            for wait_s in self._waits_s:
                try:
                    async with asyncio.timeout(wait_s):
                        await self._connect(endpoint)
                        return await endpoint.ask(lambda id_: build(self._connection, id_)), endpoint.ipv6
                except TimeoutError:
                    continue
        finally:
            transport.close()
        raise TrackerError(f"no answer in {sum(self._waits_s):.0f} s")

    async def _connect(self, endpoint: _Endpoint) -> None:
        if self._now_s() - self._connected_s < CONNECTION_LIFE_S:
            return
        self._connection = udp_tracker.connected(await endpoint.ask(udp_tracker.connect))
        self._connected_s = self._now_s()


class _Endpoint(asyncio.DatagramProtocol):
    """A socket connected to one tracker: the kernel drops what others send."""

    def __init__(self) -> None:
        self.ipv6 = False
        self._socket: asyncio.DatagramTransport | None = None
        self._transaction = 0
        self._answer: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._socket = cast("asyncio.DatagramTransport", transport)
        self.ipv6 = len(transport.get_extra_info("sockname")) == 4

    async def ask(self, build: Callable[[int], bytes]) -> bytes:
        """Send one packet and wait for the datagram with its transaction id. Raises OSError."""
        self._transaction = _random32()
        self._answer = asyncio.get_running_loop().create_future()
        if self._socket is not None:
            self._socket.sendto(build(self._transaction))
        return await self._answer

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        waiting = self._answer
        if waiting is not None and not waiting.done() and udp_tracker.is_answer(data, self._transaction):
            waiting.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc)


def _random32() -> int:
    return int.from_bytes(os.urandom(4), "big")
