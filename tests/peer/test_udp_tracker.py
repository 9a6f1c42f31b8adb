"""BEP 15's packets, and the connection ids of a tracker without a memory."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.peer import (
    Address,
    AnnounceRequest,
    AnnounceResponse,
    KnownPeer,
    RemoteProtocolError,
    TrackerFailure,
    udp_tracker,
)
from btresearch.peer.announce import MAX_NUMWANT
from btresearch.peer.udp_tracker import Announce, Connect, ConnectionIds, Counts, Scrape

CLIENT = Address("192.0.2.7", 5000)
REQUEST = AnnounceRequest(b"i" * 20, b"p" * 20, 6881, 1, 2, 3, "started", numwant=30)
FOUR, SIX = KnownPeer(Address("192.0.2.1", 6881)), KnownPeer(Address("2001:db8::1", 6882))
RESPONSE = AnnounceResponse(1800, (FOUR,), seeds=4, leeches=5)


def test_connect_as_bep_15_draws_it() -> None:
    assert udp_tracker.connect(0x01020304) == bytes.fromhex("00000417271019800000000001020304")
    answer = udp_tracker.answer_connect(0x01020304, 0x1122334455667788)
    assert answer == bytes.fromhex("00000000010203041122334455667788")
    assert udp_tracker.connected(answer) == 0x1122334455667788
    assert udp_tracker.parse(udp_tracker.connect(7)) == Connect(7)


def test_announce_as_bep_15_draws_it() -> None:
    packet = udp_tracker.announce(8, 9, REQUEST, key=10)
    assert packet == (
        struct.pack(">QII", 8, 1, 9)
        + b"i" * 20
        + b"p" * 20
        + struct.pack(">QQQ", 2, 3, 1)  # downloaded, left, uploaded
        + struct.pack(">IIIiH", 2, 0, 10, 30, 6881)  # event started, no IP address, key, numwant, port
    )
    assert len(packet) == 98
    assert udp_tracker.parse(packet) == Announce(8, 9, REQUEST, 10)


def test_announce_answer_as_bep_15_draws_it() -> None:
    packet = udp_tracker.answer_announce(9, RESPONSE, ipv6=False)
    assert packet == bytes.fromhex("0000000100000009000007080000000500000004c00002011ae1")
    assert udp_tracker.announced(packet, ipv6=False) == RESPONSE


def test_ipv6_answers_have_18_bytes_a_peer() -> None:
    packet = udp_tracker.answer_announce(9, AnnounceResponse(60, (FOUR, SIX)), ipv6=True)
    assert packet[20:] == bytes.fromhex("20010db8" + "00" * 11 + "01" + "1ae2")
    assert udp_tracker.announced(packet, ipv6=True).peers == (SIX,)
    with pytest.raises(RemoteProtocolError, match="multiple of 18"):
        udp_tracker.announced(packet[:-1], ipv6=True)


def test_scrape_as_bep_15_draws_it() -> None:
    packet = udp_tracker.scrape(8, 9, [b"a" * 20, b"b" * 20])
    assert packet == struct.pack(">QII", 8, 2, 9) + b"a" * 20 + b"b" * 20
    assert udp_tracker.parse(packet) == Scrape(8, 9, (b"a" * 20, b"b" * 20))
    counts = (Counts(1, 2, 3), Counts(4, 5, 6))
    answer = udp_tracker.answer_scrape(9, counts)
    assert answer == struct.pack(">IIIIIIII", 2, 9, 1, 2, 3, 4, 5, 6)
    assert udp_tracker.scraped(answer, 2) == counts
    with pytest.raises(RemoteProtocolError, match="32 bytes"):
        udp_tracker.scraped(answer, 3)


def test_an_error_cannot_steer_the_terminal() -> None:
    packet = udp_tracker.answer_error(9, "not \x1b[2Jregistered")
    assert packet[:8] == bytes.fromhex("0000000300000009")
    for read in (udp_tracker.connected, lambda data: udp_tracker.announced(data, ipv6=False)):
        with pytest.raises(TrackerFailure, match=r"^refused: not \\x1b\[2Jregistered$"):
            read(packet)


def test_bep_41_carries_the_path_in_parts() -> None:
    path = "/announce?passkey=" + "x" * 300
    packet = udp_tracker.announce(8, 9, REQUEST, key=0, request_path=path)
    assert packet[98:100] == b"\x02\xff" and packet[355:357] == bytes([2, len(path) - 255])
    parsed = udp_tracker.parse(packet)
    assert isinstance(parsed, Announce) and parsed.request_path == path
    skipped = udp_tracker.parse(packet[:98] + b"\x01\x01\x09\x02zz\x02\x01/\x00\x02\x01x")
    assert isinstance(skipped, Announce) and skipped.request_path == "/"


@pytest.mark.parametrize("wanted", [-1, 50, 10**6])
def test_numwant_is_bounded(wanted: int) -> None:
    packet = udp_tracker.announce(8, 9, AnnounceRequest(b"i" * 20, b"p" * 20, 1, numwant=wanted), key=0)
    parsed = udp_tracker.parse(packet)
    assert isinstance(parsed, Announce) and 0 <= parsed.request.numwant <= MAX_NUMWANT


@pytest.mark.parametrize(
    ("packet", "complaint"),
    [
        (b"", "0 bytes"),
        (bytes(15), "15 bytes"),
        (bytes(udp_tracker.MAX_PACKET_BYTES + 1), "4097 bytes"),
        (bytes(16), "action 0"),
        (struct.pack(">QII", 1, 1, 2) + bytes(81), "action 1 in 97"),
        (struct.pack(">QII", 1, 2, 2), "action 2 in 16"),
        (struct.pack(">QII", 1, 9, 2) + bytes(90), "action 9"),
        (struct.pack(">QII", 1, 1, 2) + bytes(82), "port out of range"),
        (struct.pack(">QII", 1, 1, 2) + bytes(67) + b"\x09" + bytes(12) + b"\x01\x01", "unknown event"),
    ],
)
def test_refused_requests(packet: bytes, complaint: str) -> None:
    with pytest.raises(RemoteProtocolError, match=complaint):
        udp_tracker.parse(packet)


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 3), st.binary(max_size=140))
def test_only_tracker_errors_escape(action: int, rest: bytes) -> None:
    answer = struct.pack(">I", action) + rest
    request = struct.pack(">QI", udp_tracker.PROTOCOL_ID, action) + rest
    for read in (
        lambda: udp_tracker.connected(answer),
        lambda: udp_tracker.announced(answer, ipv6=False),
        lambda: udp_tracker.announced(answer, ipv6=True),
        lambda: udp_tracker.scraped(answer, 2),
        lambda: udp_tracker.parse(request),
    ):
        try:
            assert read() is not None
        except (TrackerFailure, RemoteProtocolError) as error:
            assert str(error)


def test_only_the_asked_transaction_is_an_answer() -> None:
    packet = udp_tracker.answer_connect(7, 1)
    assert udp_tracker.is_answer(packet, 7)
    assert not udp_tracker.is_answer(packet, 8)
    assert not udp_tracker.is_answer(packet[:7], 7)


def test_a_connection_id_belongs_to_an_address_and_a_time() -> None:
    ids = ConnectionIds(b"k" * 32)
    issued = ids.issue(CLIENT, 1000.0)
    assert ids.holds(CLIENT, issued, 1000.0)
    assert ids.holds(Address(CLIENT.host, 1), issued, 1000.0 + udp_tracker.ACCEPTED_LIFE_S)
    assert not ids.holds(CLIENT, issued, 1000.0 + udp_tracker.ACCEPTED_LIFE_S + udp_tracker.CONNECTION_LIFE_S)
    assert not ids.holds(Address("192.0.2.8", 5000), issued, 1000.0)
    assert not ids.holds(CLIENT, issued ^ 1, 1000.0)
    assert ConnectionIds(b"j" * 32).issue(CLIENT, 1000.0) != issued


def test_waits_double() -> None:
    assert udp_tracker.waits_s()[:4] == [15.0, 30.0, 60.0, 120.0]
    assert udp_tracker.waits_s()[-1] == 3840.0
