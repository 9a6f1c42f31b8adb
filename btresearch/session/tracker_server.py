"""A small HTTP tracker: /announce and /scrape (BEP 3, 23, 7, 48), in memory, bounded.

async with TrackerServer(host="127.0.0.1", port=0) as tracker:
print(tracker.url)
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import unquote_to_bytes

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from btresearch.peer import bencode
from btresearch.peer.bencode import Encodable
from btresearch.session.address import Address, pack

MAX_TORRENTS = 100_000
MAX_PEERS_PER_TORRENT = 10_000
MAX_NUMWANT, DEFAULT_NUMWANT = 200, 50
MAX_QUERY_BYTES = 8192
MAX_SCRAPE = 74  # what fits a 8 KiB query
_EVENTS = {b"", b"started", b"stopped", b"completed", b"empty", b"paused"}


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


@dataclass(frozen=True, slots=True)
class _Announce:
    infohash: bytes
    peer_id: bytes
    address: Address
    left: int
    event: bytes
    numwant: int
    compact: bool

    @classmethod
    def parse(cls, fields: dict[bytes, list[bytes]], remote: str) -> _Announce:
        first = {key: values[0] for key, values in fields.items()}
        infohash, peer_id = first.get(b"info_hash", b""), first.get(b"peer_id", b"")
        if len(infohash) != 20:
            raise _Refusal("info_hash must be 20 bytes")
        if len(peer_id) != 20:
            raise _Refusal("peer_id must be 20 bytes")
        event = first.get(b"event", b"")
        if event not in _EVENTS:
            raise _Refusal("unknown event")
        return cls(
            infohash=infohash,
            peer_id=peer_id,
            # The `ip` parameter is ignored: it would let anyone aim a swarm at a third party.
            address=Address.of(remote, _number(first, b"port", 0, low=1, high=65535)),
            left=_number(first, b"left", 0, low=0, high=1 << 62),
            event=event,
            numwant=min(_number(first, b"numwant", DEFAULT_NUMWANT, low=-1, high=1 << 31), MAX_NUMWANT),
            compact=first.get(b"compact", b"1") != b"0",
        )


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
            announce = _Announce.parse(_query(request), request.remote or "")
            return _answer(self._register(announce))
        except _Refusal as refusal:
            return _answer({b"failure reason": str(refusal).encode()})

    async def _scrape(self, request: web.Request) -> web.Response:
        try:
            wanted = _query(request).get(b"info_hash", [])[:MAX_SCRAPE]
        except _Refusal as refusal:
            return _answer({b"failure reason": str(refusal).encode()})
        known = {infohash: self._swarms[infohash].counts() for infohash in wanted if infohash in self._swarms}
        return _answer({b"files": dict(sorted(known.items()))})

    def _register(self, announce: _Announce) -> dict[bytes, Encodable]:
        swarm = self._swarm(announce.infohash)
        if announce.event == b"stopped":
            swarm.peers.pop(announce.address, None)
            return {b"interval": self.interval_s, b"peers": b""}
        if len(swarm.peers) >= MAX_PEERS_PER_TORRENT and announce.address not in swarm.peers:
            raise _Refusal("too many peers")
        swarm.downloaded += announce.event == b"completed"
        swarm.peers[announce.address] = _Peer(announce.peer_id, announce.left == 0, self._now_ns())
        counts = swarm.counts()
        return {
            b"complete": counts[b"complete"],
            b"incomplete": counts[b"incomplete"],
            b"interval": self.interval_s,
            **self._choose(swarm, announce),
        }

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

    def _choose(self, swarm: _Swarm, announce: _Announce) -> dict[bytes, Encodable]:
        # A seed has no use for seeds.
        others = [
            (address, peer)
            for address, peer in swarm.peers.items()
            if address != announce.address and not (announce.left == 0 and peer.seed)
        ]
        wanted = DEFAULT_NUMWANT if announce.numwant < 0 else announce.numwant
        chosen = self._rng.sample(others, min(wanted, len(others)))
        if not announce.compact:
            return {b"peers": [_dictionary(address, peer) for address, peer in chosen]}
        four, six = pack(address for address, _ in chosen)
        compact: dict[bytes, Encodable] = {b"peers": four}
        return compact | {b"peers6": six} if six else compact


def _dictionary(address: Address, peer: _Peer) -> dict[bytes, Encodable]:
    return {b"ip": address.host.encode(), b"peer id": peer.peer_id, b"port": address.port}


def _query(request: web.Request) -> dict[bytes, list[bytes]]:
    """The raw query: infohashes are bytes, not text, so the framework's decoding can't be used."""
    raw = request.rel_url.raw_query_string
    if len(raw) > MAX_QUERY_BYTES:
        raise _Refusal("query too long")
    fields: dict[bytes, list[bytes]] = {}
    for pair in raw.split("&"):
        key, _, value = pair.partition("=")
        fields.setdefault(unquote_to_bytes(key), []).append(unquote_to_bytes(value.replace("+", " ")))
    return fields


def _number(fields: dict[bytes, bytes], key: bytes, default: int, *, low: int, high: int) -> int:
    text = fields.get(key, b"")
    digits = text.removeprefix(b"-")
    value = int(text) if digits.isdigit() and len(digits) < 20 else default
    if not low <= value <= high:
        raise _Refusal(f"{key.decode()} out of range")
    return value


def _http_log() -> logging.Logger:
    http_log = logging.getLogger(f"{__name__}.http")
    http_log.addFilter(_is_own_fault)
    return http_log


def _is_own_fault(record: logging.LogRecord) -> bool:
    """A stranger's bytes that are no HTTP get their 400; a traceback of them says nothing."""
    return record.exc_info is None or not isinstance(record.exc_info[1], HttpProcessingError)


def _answer(fields: Mapping[bytes, Encodable]) -> web.Response:
    return web.Response(body=bencode.encode(fields), content_type="text/plain")
