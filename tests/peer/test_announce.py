"""The HTTP announce, both ends."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes, urlsplit

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
    announce,
    bencode,
)

INFOHASH = bytes.fromhex("123456789abcdef123456789abcdef123456789a")
REQUEST = AnnounceRequest(INFOHASH, b"-XX0001-abcdefghijkl", 6881, 1, 2, 3, "started", numwant=30)
PEERS = (KnownPeer(Address("192.0.2.1", 6881)), KnownPeer(Address("2001:db8::1", 1)))
RESPONSE = AnnounceResponse(1800, PEERS, seeds=1, leeches=2)
IDS = f"info_hash={'a' * 20}&peer_id={'b' * 20}"


def test_every_byte_of_the_infohash_survives() -> None:
    url = REQUEST.url("http://tracker/announce?passkey=1")
    assert "&info_hash=%124Vx%9A%BC%DE%F1%23Eg%89%AB%CD%EF%124Vx%9A&" in url
    assert url.startswith("http://tracker/announce?passkey=1&")
    assert REQUEST.url("http://tracker/announce").startswith("http://tracker/announce?info_hash=")


@settings(deadline=None, max_examples=100)
@given(st.binary(min_size=20, max_size=20), st.binary(min_size=20, max_size=20), st.integers(1, 65535))
def test_request_round_trip(infohash: bytes, peer_id: bytes, port: int) -> None:
    request = AnnounceRequest(infohash, peer_id, port, 5, 6, 7, "stopped", compact=False)
    assert announce.parse_query(urlsplit(request.url("http://t/a")).query) == request
    fields = dict(pair.split("=") for pair in request.query().split("&"))
    assert unquote_to_bytes(fields["info_hash"]) == infohash
    assert unquote_to_bytes(fields["peer_id"]) == peer_id
    assert fields["event"] == "stopped"


def test_defaults_and_bounds_of_a_query() -> None:
    assert announce.parse_query(REQUEST.query()) == REQUEST
    base = IDS + "&port=1"
    assert announce.parse_query(base + "&numwant=99999").numwant == announce.MAX_NUMWANT
    assert announce.parse_query(base + "&numwant=-1").numwant == announce.DEFAULT_NUMWANT
    assert announce.parse_query(base + "&numwant=").numwant == announce.DEFAULT_NUMWANT
    assert announce.parse_query(base + "&numwant=0").numwant == 0
    assert announce.parse_query(base + "&event=paused").event == ""
    assert announce.parse_query(base + "&event=empty").event == ""
    assert announce.parse_query(base + "&port=2").port == 1
    assert announce.parse_query(base + "&ip=192.0.2.1").compact


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "info_hash must be 20 bytes"),
        (f"info_hash={'a' * 20}&port=1", "peer_id must be 20 bytes"),
        (IDS, "port out of range"),
        (f"{IDS}&port=x", "port must be a number"),
        (f"{IDS}&port=0", "port out of range"),
        (f"{IDS}&port=65536", "port out of range"),
        (f"{IDS}&port=1&event=gone", "unknown event"),
        (f"{IDS}&port=1&left=-1", "left out of range"),
        (f"{IDS}&port=1&left=--1", "left must be a number"),
        (f"{IDS}&port=1&left={'9' * 19}", "left out of range"),
        (f"{IDS}&port=1&left={'9' * 30}", "left must be a number"),
        (f"{IDS}&port=1&left=%d9%a3", "left must be a number"),
        (f"{IDS}&port=1&numwant=-2", "numwant out of range"),
        (f"{IDS}&port=1&numwant=2147483649", "numwant out of range"),
        ("&".join(["a=b"] * 60), "query of over 50 fields"),
        ("x" * 5000, "query over 4096 bytes"),
    ],
)
def test_refused_queries(text: str, complaint: str) -> None:
    with pytest.raises(RemoteProtocolError, match=f"^{complaint}$"):
        announce.parse_query(text)


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=60))
def test_only_protocol_errors_escape_a_query(text: str) -> None:
    try:
        assert 0 <= announce.parse_query(f"{IDS}&port=1&{text}").numwant <= announce.MAX_NUMWANT
    except RemoteProtocolError as error:
        assert str(error).isprintable()


@pytest.mark.parametrize("peer_ids", [None, [b"x" * 20, b"y" * 20]])
def test_response_round_trip(peer_ids: list[bytes] | None) -> None:
    body = announce.encode_response(RESPONSE, peer_ids=peer_ids)
    assert announce.decode_response(body) == RESPONSE
    assert (b"peers6" in body) == (peer_ids is None)


def test_dictionary_peers_bear_their_ids() -> None:
    fields = bencode.decode(announce.encode_response(RESPONSE, peer_ids=[b"x" * 20, b"y" * 20]))
    assert isinstance(fields, dict)
    assert fields[b"peers"] == [
        {b"ip": b"192.0.2.1", b"peer id": b"x" * 20, b"port": 6881},
        {b"ip": b"2001:db8::1", b"peer id": b"y" * 20, b"port": 1},
    ]


def test_compact_and_ipv6_peers() -> None:
    """BEP 23's 6 bytes and BEP 7's 18."""
    four = b"\x0a\x00\x00\x01\x1a\xe1" + b"\x0a\x00\x00\x02\x00\x00"  # port 0 is nobody
    six = bytes.fromhex("20010db8000000000000000000000001") + b"\x1a\xe2"
    answer = announce.decode_response(b"d8:intervali900e5:peers12:" + four + b"6:peers618:" + six + b"e")
    assert [peer.address for peer in answer.peers] == [
        Address("10.0.0.1", 6881),
        Address("2001:db8::1", 6882),
    ]
    assert answer.interval_s == 900


def test_a_failure_cannot_steer_the_terminal() -> None:
    with pytest.raises(TrackerFailure) as caught:
        announce.decode_response(announce.encode_failure("not \x1b[2Jregistered\n"))
    assert str(caught.value) == r"refused: not \x1b[2Jregistered\n"
    with pytest.raises(TrackerFailure) as caught:
        announce.decode_response(announce.encode_failure("x" * 1000))
    assert len(str(caught.value)) == len("refused: ") + announce.MAX_REASON_CHARS


@pytest.mark.parametrize(
    ("interval", "expected"),
    [(b"i0e", 5), (b"i1e", 5), (b"i-9e", 5), (b"i999999999e", 86400), (b"1:x", 1800)],
)
def test_intervals_are_bounded(interval: bytes, expected: int) -> None:
    assert announce.decode_response(b"d8:interval" + interval + b"5:peers0:e").interval_s == expected
    assert announce.decode_response(b"d8:interval" + interval + b"e").interval_s == expected


def test_odd_entries_are_left_out() -> None:
    body = b"d5:peersld2:ip1:h4:porti1eei7ed2:ip1:h4:porti0eed2:ipi5e4:porti1eed2:ip1:h4:porti1eee8:intervali60ee"
    assert announce.decode_response(body).peers == (KnownPeer(Address("h", 1)),)


@pytest.mark.parametrize("host", [b"", b"a" * 256, b"a\x1b[2J", b"\xff", b"a\nb", "\u65e5".encode()])
def test_hosts_that_are_none_are_left_out(host: bytes) -> None:
    body = bencode.encode({b"peers": [{b"ip": host, b"port": 1}, {b"ip": b"::ffff:127.0.0.1", b"port": 80}]})
    assert announce.decode_response(body).peers == (KnownPeer(Address("127.0.0.1", 80)),)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"", "unreadable"),
        (b"<html>", "unreadable"),
        (b"dex", "unreadable"),
        (b"le", "dictionary"),
        (b"d5:peersi1ee", "neither a string nor a list"),
        (b"d5:peers5:abcdee", "5 bytes"),
        (b"d6:peers61:xe", "1 bytes"),
    ],
)
def test_no_tracker(body: bytes, complaint: str) -> None:
    with pytest.raises(RemoteProtocolError, match=complaint):
        announce.decode_response(body)


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=200))
def test_only_tracker_errors_escape_a_response(body: bytes) -> None:
    try:
        assert announce.decode_response(body).interval_s >= announce.MIN_INTERVAL_S
    except (TrackerFailure, RemoteProtocolError) as error:
        assert str(error)


def test_size_is_bounded() -> None:
    with pytest.raises(RemoteProtocolError, match="over 1048576"):
        announce.decode_response(bytes(announce.MAX_RESPONSE_BYTES + 1))
    peers = b"".join(number.to_bytes(6, "big") for number in range(1 << 16, (1 << 16) + 3000))
    body = b"d5:peers18000:" + peers + b"e"
    assert len(announce.decode_response(body).peers) == announce.MAX_PEERS
