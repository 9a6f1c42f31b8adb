"""A small tracker, HTTP and UDP on one port: /announce and /scrape (BEP 3, 23, 7, 24, 48), BEP 15.

What announces say of TLS is kept and passed on where the HTTP connection is HTTPS, and only there.

async with TrackerServer(host="127.0.0.1", port=0) as tracker:
print(tracker.url)
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
import time
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Self

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from btresearch.peer import Address, KnownPeer, RemoteProtocolError, announce, scrape
from btresearch.session.tracker_swarms import Refusal, TrackerSwarms
from btresearch.session.udp_server import UdpTrackerServer


class TrackerServer:
    """The tracker and its HTTP server; an async context manager."""

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        interval_s: int = 120,
        rng: random.Random | None = None,
        now_ns: Callable[[], int] = time.monotonic_ns,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.host, self.port, self.interval_s = host, port, interval_s
        self._tls = tls
        self._swarms = TrackerSwarms(interval_s=interval_s, rng=rng or random.Random(), now_ns=now_ns)
        self._runner: web.AppRunner | None = None
        self._datagrams: asyncio.DatagramTransport | None = None

    @property
    def url(self) -> str:
        """The announce URL."""
        return f"http{'s' if self._tls else ''}://{Address(self.host, self.port)}/announce"

    @property
    def udp_url(self) -> str:
        """The same over UDP."""
        return f"udp://{Address(self.host, self.port)}/announce"

    async def start(self) -> None:
        """Listen; afterwards `port` is the real one. Raises OSError."""
        app = web.Application()
        app.router.add_get("/announce", self._announce)
        app.router.add_get("/scrape", self._scrape)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, logger=_http_log())
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, self.port, ssl_context=self._tls)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self._datagrams, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: UdpTrackerServer(self._swarms), local_addr=(self.host, self.port)
        )

    async def stop(self) -> None:
        """Stop listening and forget every peer."""
        if self._datagrams is not None:
            self._datagrams.close()
            self._datagrams = None
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        self._swarms.clear()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def counts(self) -> dict[bytes, dict[bytes, int]]:
        """Infohash -> complete, downloaded, incomplete."""
        return self._swarms.counts()

    async def _announce(self, request: web.Request) -> web.Response:
        try:
            said = announce.parse_query(request.rel_url.raw_query_string)
            if not request.secure:  # what came in clear proves nothing, and nothing of it goes out in clear
                said = replace(said, supports_tls=False, requires_tls=False)
            address = Address.of(request.remote or "", said.port)
            response, peer_ids = self._swarms.announce(said, address)
        except (RemoteProtocolError, Refusal) as refusal:
            return _plain(announce.encode_failure(str(refusal)))
        if not request.secure:
            response = replace(response, peers=tuple(KnownPeer(peer.address) for peer in response.peers))
        response = replace(response, external_ip=address.host)
        return _plain(announce.encode_response(response, peer_ids=None if said.compact else peer_ids))

    async def _scrape(self, request: web.Request) -> web.Response:
        try:
            wanted = scrape.parse_query(request.rel_url.raw_query_string)
        except RemoteProtocolError as refusal:
            return _plain(announce.encode_failure(str(refusal)))
        found = {infohash: self._swarms.counts_of(infohash) for infohash in wanted}
        return _plain(scrape.encode_response({key: value for key, value in found.items() if value}))


def _http_log() -> logging.Logger:
    http_log = logging.getLogger(f"{__name__}.http")
    http_log.addFilter(_is_own_fault)
    return http_log


def _is_own_fault(record: logging.LogRecord) -> bool:
    """A stranger's bytes that are no HTTP get their 400; a traceback of them says nothing."""
    return record.exc_info is None or not isinstance(record.exc_info[1], HttpProcessingError)


def _plain(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="text/plain")
