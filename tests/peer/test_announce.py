"""The HTTP announce, both ends."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.errors import InputError
from btresearch.peer import (
    AnnounceRequest,
    AnnounceResponse,
    PeerAddress,
    RemoteProtocolError,
    TrackerFailure,
    announce,
)

INFOHASH = bytes.fromhex("123456789abcdef123456789abcdef123456789a")
REQUEST = AnnounceRequest(
    INFOHASH, b"-XX0001-abcdefghijkl", 6881, 1, 2, 3, "started", numwant=30, key="k", ip="::1"
)
RESPONSE = AnnounceResponse(
    1800,
    (PeerAddress("192.0.2.1", 6881), PeerAddress("2001:db8::1", 1)),
    min_interval_s=60,
    seeds=1,
    leeches=2,
    tracker_id="id",
    warning="careful",
)


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


def test_defaults_and_bounds_of_a_query() -> None:
    assert announce.parse_query(REQUEST.query()) == REQUEST
    base = f"info_hash={'a' * 20}&peer_id={'b' * 20}&port=1"
    assert announce.parse_query(base + "&numwant=99999").numwant == announce.MAX_NUMWANT
    assert announce.parse_query(base + "&event=paused").event == ""
    assert announce.parse_query(base).compact


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "info_hash of 20 bytes"),
        (f"info_hash={'a' * 20}&port=1", "peer_id of 20 bytes"),
        (f"info_hash={'a' * 20}&peer_id={'b' * 20}", "port as a number"),
        (f"info_hash={'a' * 20}&peer_id={'b' * 20}&port=0", "port from 1 to 65535"),
        (f"info_hash={'a' * 20}&peer_id={'b' * 20}&port=65536", "port from"),
        (f"info_hash={'a' * 20}&peer_id={'b' * 20}&port=1&left=-1", "left as a number"),
        (f"info_hash={'a' * 20}&peer_id={'b' * 20}&port=1&left={'9' * 30}", "left as a number"),
        ("&".join(["a=b"] * 60), "at most 50 parameters"),
        ("x" * 5000, "at most 4096 characters"),
    ],
)
def test_refused_queries(query: str, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        announce.parse_query(query)


@pytest.mark.parametrize("compact_peers", [True, False])
def test_response_round_trip(compact_peers: bool) -> None:
    body = announce.encode_response(RESPONSE, compact_peers=compact_peers)
    assert announce.decode_response(body) == RESPONSE
    assert (b"peers6" in body) == compact_peers


def test_failure_is_said_without_control_characters() -> None:
    with pytest.raises(TrackerFailure, match=r"^the tracker refused: not \[2Jregistered$"):
        announce.decode_response(announce.encode_failure("not \x1b[2Jregistered\n"))


@pytest.mark.parametrize(
    ("interval", "expected"), [(b"i0e", 5), (b"i-9e", 5), (b"i999999999e", 86400), (b"1:x", 1800)]
)
def test_intervals_are_bounded(interval: bytes, expected: int) -> None:
    assert announce.decode_response(b"d8:interval" + interval + b"5:peers0:e").interval_s == expected


def test_odd_entries_are_left_out() -> None:
    body = b"d5:peersld2:ip1:h4:porti1eei7ed2:ip1:h4:porti0eed2:ipi5e4:porti1eed2:ip1:h4:porti1eee8:intervali60ee"
    assert announce.decode_response(body).peers == (PeerAddress("h", 1),)


@pytest.mark.parametrize("body", [b"", b"<html>", b"le", b"d5:peersi1ee", b"d5:peers1:xe", b"d6:peers61:xe"])
def test_no_tracker(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        announce.decode_response(body)


def test_size_is_bounded() -> None:
    with pytest.raises(RemoteProtocolError, match="over 1048576"):
        announce.decode_response(bytes(announce.MAX_RESPONSE_BYTES + 1))
    peers = b"".join(number.to_bytes(6, "big") for number in range(1 << 16, (1 << 16) + 3000))
    body = b"d5:peers18000:" + peers + b"e"
    assert len(announce.decode_response(body).peers) <= announce.MAX_PEERS
