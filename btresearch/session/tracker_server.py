"""A small HTTP tracker: /announce and /scrape (BEP 3, 23, 7, 48), in memory, bounded.

async with TrackerServer(host="127.0.0.1", port=0) as tracker:
print(tracker.url)
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from btresearch.peer import (
    Address,
    AnnounceRequest,
    AnnounceResponse,
    KnownPeer,
    RemoteProtocolError,
    announce,
    scrape,
)

MAX_TORRENTS = 100_000
MAX_PEERS_PER_TORRENT = 10_000


class _Refusal(Exception):
    """The text of BEP 3's `failure reason`."""


@dataclass(slots=True)
class _Peer:
    peer_id: bytes
    seed: bool
    seen_ns: int


@dataclass(slots=True)
class _Swarm:
    peers: dict[Address, _Peer] = field(default_factory=dict)
    downloaded: int = 0

    def expire(self, before_ns: int) -> None:
        for address in [a for a, peer in self.peers.items() if peer.seen_ns < before_ns]:
            del self.peers[address]

    def counts(self) -> dict[bytes, int]:
        seeds = sum(peer.seed for peer in self.peers.values())
        return {b"complete": seeds, b"downloaded": self.downloaded, b"incomplete": len(self.peers) - seeds}


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
    ) -> None:
        self.host, self.port, self.interval_s = host, port, interval_s
        self._rng = rng or random.Random()
        self._now_ns = now_ns
        self._swarms: dict[bytes, _Swarm] = {}
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """The announce URL."""
        return f"http://{Address(self.host, self.port)}/announce"

    async def start(self) -> None:
        """Listen; afterwards `port` is the real one."""
        app = web.Application()
        app.router.add_get("/announce", self._announce)
        app.router.add_get("/scrape", self._scrape)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, logger=_http_log())
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening and forget every peer."""
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
        return {infohash: swarm.counts() for infohash, swarm in self._swarms.items()}

    async def _announce(self, request: web.Request) -> web.Response:
        try:
            said = announce.parse_query(request.rel_url.raw_query_string)
            return _plain(self._register(said, Address.of(request.remote or "", said.port)))
        except (RemoteProtocolError, _Refusal) as refusal:
            return _plain(announce.encode_failure(str(refusal)))

    async def _scrape(self, request: web.Request) -> web.Response:
        try:
            wanted = scrape.parse_query(request.rel_url.raw_query_string)
        except RemoteProtocolError as refusal:
            return _plain(announce.encode_failure(str(refusal)))
        known = {infohash: self._swarms[infohash].counts() for infohash in wanted if infohash in self._swarms}
        return _plain(scrape.encode_response(known))

    def _register(self, said: AnnounceRequest, address: Address) -> bytes:
        swarm = self._swarm(said.infohash)
        if said.event == "stopped":
            swarm.peers.pop(address, None)
            return announce.encode_response(AnnounceResponse(self.interval_s))
        if len(swarm.peers) >= MAX_PEERS_PER_TORRENT and address not in swarm.peers:
            raise _Refusal("too many peers")
        swarm.downloaded += said.event == "completed"
        swarm.peers[address] = _Peer(said.peer_id, said.left == 0, self._now_ns())
        chosen, counts = self._choose(swarm, said, address), swarm.counts()
        return announce.encode_response(
            AnnounceResponse(
                self.interval_s, tuple(map(KnownPeer, chosen)), counts[b"complete"], counts[b"incomplete"]
            ),
            peer_ids=None if said.compact else [peer.peer_id for peer in chosen.values()],
        )

    def _swarm(self, infohash: bytes) -> _Swarm:
        before_ns = self._now_ns() - 2 * self.interval_s * 1_000_000_000
        if infohash not in self._swarms and len(self._swarms) >= MAX_TORRENTS:
            self._expire_all(before_ns)
        swarm = self._swarms.setdefault(infohash, _Swarm())
        swarm.expire(before_ns)
        return swarm

    def _expire_all(self, before_ns: int) -> None:
        for swarm in self._swarms.values():
            swarm.expire(before_ns)
        self._swarms = {infohash: swarm for infohash, swarm in self._swarms.items() if swarm.peers}
        if len(self._swarms) >= MAX_TORRENTS:
            raise _Refusal("too many torrents")

    def _choose(self, swarm: _Swarm, said: AnnounceRequest, address: Address) -> dict[Address, _Peer]:
        # A seed has no use for seeds.
        others = [
            (other, peer)
            for other, peer in swarm.peers.items()
            if other != address and not (said.left == 0 and peer.seed)
        ]
        return dict(self._rng.sample(others, min(said.numwant, len(others))))


def _http_log() -> logging.Logger:
    http_log = logging.getLogger(f"{__name__}.http")
    http_log.addFilter(_is_own_fault)
    return http_log


def _is_own_fault(record: logging.LogRecord) -> bool:
    """A stranger's bytes that are no HTTP get their 400; a traceback of them says nothing."""
    return record.exc_info is None or not isinstance(record.exc_info[1], HttpProcessingError)


def _plain(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="text/plain")
