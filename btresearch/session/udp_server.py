"""The UDP side of the embedded tracker: BEP 15, without a memory for clients that prove nothing."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import cast

from btresearch.peer import Address, RemoteProtocolError, udp_tracker
from btresearch.peer.udp_tracker import Announce, Connect, ConnectionIds, Counts, Scrape
from btresearch.session.tracker_swarms import Refusal, TrackerSwarms

MAX_PEERS_IPV4, MAX_PEERS_IPV6 = 200, 67
"""What fits a packet that no network need cut: 20 bytes of head and peers in 1232."""
KEY_BYTES = 32

log = logging.getLogger(__name__)


class UdpTrackerServer(asyncio.DatagramProtocol):
    """Answers datagrams from `swarms`.

    An announce or a scrape with a connection id that was not given to its sender is answered by nothing, so
    a forged source address draws 16 bytes for 16 and no more.
    """

    def __init__(self, swarms: TrackerSwarms, *, now_s: Callable[[], float] = time.monotonic) -> None:
        self._swarms, self._now_s = swarms, now_s
        self._ids = ConnectionIds(os.urandom(KEY_BYTES))
        self._socket: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is there."""
        self._socket = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer one client."""
        client = Address.of(addr[0], addr[1])
        try:
            answer = self._answer(udp_tracker.parse(data), client)
        except RemoteProtocolError as error:
            log.debug("%s: ignored: %s", client, error)
            return
        if answer and self._socket is not None:
            self._socket.sendto(answer, addr)

    def _answer(self, request: udp_tracker.Request, client: Address) -> bytes:
        if isinstance(request, Connect):
            return udp_tracker.answer_connect(request.transaction, self._ids.issue(client, self._now_s()))
        if not self._ids.holds(client, request.connection, self._now_s()):
            return b""
        return self._announce(request, client) if isinstance(request, Announce) else self._scrape(request)

    def _announce(self, announce: Announce, client: Address) -> bytes:
        # An IPv4 client of a dual-stack socket is known by its IPv4 address, and answered with such.
        ipv6 = ":" in client.host
        most = MAX_PEERS_IPV6 if ipv6 else MAX_PEERS_IPV4
        said = replace(announce.request, numwant=min(announce.request.numwant, most))
        try:
            response, _ = self._swarms.announce(said, Address.of(client.host, said.port))
        except Refusal as refusal:
            return udp_tracker.answer_error(announce.transaction, str(refusal))
        return udp_tracker.answer_announce(announce.transaction, response, ipv6=ipv6)

    def _scrape(self, scrape: Scrape) -> bytes:
        found = (self._swarms.counts_of(infohash) or {} for infohash in scrape.infohashes)
        counts = [
            Counts(*(each.get(key, 0) for key in (b"complete", b"downloaded", b"incomplete")))
            for each in found
        ]
        return udp_tracker.answer_scrape(scrape.transaction, counts)
