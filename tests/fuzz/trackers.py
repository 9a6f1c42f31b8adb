"""What trackers and their clients say to each other, over HTTP and UDP."""

from __future__ import annotations

import gzip
import random
from typing import Any

from btresearch.peer import (
    Address,
    AnnounceRequest,
    AnnounceResponse,
    KnownPeer,
    RemoteProtocolError,
    TrackerFailure,
    announce,
    bencode,
    compact,
    scrape,
    udp_tracker,
)
from btresearch.peer.udp_tracker import Counts
from btresearch.session.errors import TrackerError
from btresearch.session.tracker_client import _inflated
from btresearch.session.tracker_swarms import TrackerSwarms
from btresearch.session.udp_server import UdpTrackerServer
from tests.fuzz.target import Target, as_text
from tests.peer.test_udp_tracker import CLIENT, REQUEST, RESPONSE

PIN = bytes(range(32))
PEERS = (
    KnownPeer(Address("192.0.2.3", 3), tls=True, requires_tls=True, pin=PIN),
    KnownPeer(Address("192.0.2.4", 4)),
    KnownPeer(Address("2001:db8::1", 4), tls=True, pin=PIN[::-1]),
)
FULL = AnnounceResponse(1800, PEERS, seeds=4, leeches=5, external_ip="192.0.2.9")


def _answers() -> list[bytes]:
    ids = [bytes([n]) * 20 for n in range(len(PEERS))]
    warned = bencode.encode(
        {b"interval": 60, b"peers": b"", b"warning message": b"late", b"min interval": 30}
    )
    return [announce.encode_response(FULL), announce.encode_response(FULL, peer_ids=ids), warned]


def _queries() -> list[bytes]:
    member = AnnounceRequest(b"\xff" * 20, b"p" * 20, 1, supports_tls=True, requires_tls=True, tls_pin=PIN)
    return [REQUEST.query().encode(), member.query().encode()]


def _unpacked(data: bytes) -> None:
    """Either coding, and nothing longer than an answer may be."""
    assert len(_inflated(data, "gzip")) <= announce.MAX_RESPONSE_BYTES


class _Socket:
    """A tracker's datagram socket; answers are never longer than what a datagram holds."""

    def sendto(self, data: bytes, _: Any) -> None:
        assert len(data) <= 1500


def udp_server(data: bytes) -> None:
    """A datagram to a tracker; if the first eight bytes are 0xee, with the connection id that it gave."""
    swarms = TrackerSwarms(interval_s=60, rng=random.Random(1), now_ns=lambda: 0)
    server = UdpTrackerServer(swarms, now_s=lambda: 0.0)
    server.connection_made(_Socket())  # type: ignore[arg-type]
    if data.startswith(b"\xee" * 8):
        data = server._ids.issue(CLIENT, 0.0).to_bytes(8, "big") + data[8:]
    server.datagram_received(data, CLIENT)


def _datagrams() -> list[bytes]:
    own = 0xEEEEEEEEEEEEEEEE
    return [
        udp_tracker.connect(7),
        udp_tracker.announce(own, 9, REQUEST, key=10),
        udp_tracker.scrape(own, 9, [b"i" * 20, b"j" * 20]),
    ]


_ANSWER = (RemoteProtocolError, TrackerFailure)

TARGETS = {
    "announce_query": Target(
        lambda data: announce.parse_query(as_text(data)), _queries, (RemoteProtocolError,)
    ),
    "announce_answer": Target(announce.decode_response, _answers, _ANSWER),
    "announce_packed": Target(
        _unpacked, lambda: [gzip.compress(body) for body in _answers()], (TrackerError,)
    ),
    "scrape_query": Target(
        lambda data: scrape.parse_query(as_text(data)),
        lambda: [b"info_hash=" + b"%ff" * 20 + b"&info_hash=" + b"a" * 20],
        (RemoteProtocolError,),
    ),
    "compact_ipv4": Target(compact.decode_ipv4, lambda: [b"\xc0\0\2\1\x1a\xe1" * 3], (RemoteProtocolError,)),
    "compact_ipv6": Target(compact.decode_ipv6, lambda: [bytes(range(36))], (RemoteProtocolError,)),
    "udp_request": Target(
        udp_tracker.parse,
        lambda: [*_datagrams(), udp_tracker.announce(8, 9, REQUEST, key=10)],
        (RemoteProtocolError,),
    ),
    "udp_connected": Target(udp_tracker.connected, lambda: [udp_tracker.answer_connect(1, 2)], _ANSWER),
    "udp_announced": Target(
        lambda data: udp_tracker.announced(data, ipv6=False),
        lambda: [udp_tracker.answer_announce(9, RESPONSE, ipv6=False), udp_tracker.answer_error(1, "no")],
        _ANSWER,
    ),
    "udp_announced_ipv6": Target(
        lambda data: udp_tracker.announced(data, ipv6=True),
        lambda: [udp_tracker.answer_announce(9, FULL, ipv6=True)],
        _ANSWER,
    ),
    "udp_scraped": Target(
        lambda data: udp_tracker.scraped(data, 2),
        lambda: [udp_tracker.answer_scrape(9, [Counts(1, 2, 3), Counts(4, 5, 6)])],
        _ANSWER,
    ),
    "udp_server": Target(udp_server, _datagrams),
}
