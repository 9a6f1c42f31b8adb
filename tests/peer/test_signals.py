"""`tls_flags` and `tls_pins`: what an HTTPS tracker says of its peers, in both forms, and what is refused."""

from __future__ import annotations

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
from btresearch.peer.known import TLS_REQUIRED, TLS_SUPPORTED

PIN = bytes(range(32))
PLAIN = KnownPeer(Address("192.0.2.1", 1))
SPEAKS = KnownPeer(Address("192.0.2.2", 2), tls=True)
REQUIRES = KnownPeer(Address("192.0.2.3", 3), tls=True, requires_tls=True, pin=PIN)
SIX = KnownPeer(Address("2001:db8::1", 4), tls=True, pin=PIN[::-1])
NAMED = KnownPeer(Address("name.example", 5), tls=True)


def _fields(*peers: KnownPeer, **options: object) -> dict[bytes, object]:
    body = announce.encode_response(AnnounceResponse(60, peers), **options)  # type: ignore[arg-type]
    fields = bencode.decode(body)
    assert isinstance(fields, dict)
    return dict(fields)


def _read(**fields: object) -> AnnounceResponse:
    return announce.decode_response(bencode.encode({key.encode(): value for key, value in fields.items()}))  # type: ignore[misc]


def test_one_byte_and_32_bytes_a_peer() -> None:
    fields = _fields(PLAIN, SIX, SPEAKS, NAMED, REQUIRES)
    assert fields[b"peers"] == bytes.fromhex("c00002010001c00002020002c00002030003")
    assert fields[b"tls_flags"] == b"\x00\x01\x03"
    assert fields[b"tls_pins"] == bytes(64) + PIN
    assert fields[b"tls_flags6"] == b"\x01"
    assert fields[b"tls_pins6"] == PIN[::-1]


def test_nothing_known_is_nothing_said() -> None:
    assert set(_fields(PLAIN)) == {b"interval", b"peers"}
    assert set(_fields(PLAIN, SPEAKS)) == {b"interval", b"peers", b"tls_flags"}
    assert set(_fields()) == {b"interval", b"peers"}


def test_dictionaries_say_the_same() -> None:
    fields = _fields(PLAIN, REQUIRES, peer_ids=[b"a" * 20, b"b" * 20])
    assert fields[b"peers"] == [
        {b"ip": b"192.0.2.1", b"peer id": b"a" * 20, b"port": 1},
        {b"ip": b"192.0.2.3", b"peer id": b"b" * 20, b"port": 3, b"tls_flags": 3, b"tls_pin": PIN},
    ]


@pytest.mark.parametrize("peer_ids", [None, [bytes(20)] * 4])
def test_round_trip(peer_ids: list[bytes] | None) -> None:
    peers = (PLAIN, SPEAKS, REQUIRES, SIX)
    answer = announce.decode_response(
        announce.encode_response(AnnounceResponse(60, peers), peer_ids=peer_ids)
    )
    assert (answer.peers, answer.warnings) == (peers, ())


@pytest.mark.parametrize(
    ("flags", "tls", "requires"),
    [
        (0, False, False),
        (1, True, False),
        (2, True, True),
        (3, True, True),
        (0xFC, False, False),
        (0xFD, True, False),
    ],
)
def test_bits(flags: int, tls: bool, requires: bool) -> None:
    """Who requires TLS speaks it; the six other bits say nothing."""
    peer = KnownPeer.flagged(Address("h", 1), flags)
    assert (peer.tls, peer.requires_tls) == (tls, requires)
    assert (TLS_SUPPORTED, TLS_REQUIRED) == (0x01, 0x02)


def test_a_peer_without_a_port_keeps_its_place_in_every_list() -> None:
    peers = bytes.fromhex("c00002010000c00002020002")
    answer = _read(peers=peers, tls_flags=b"\x03\x01", tls_pins=PIN + bytes(32))
    assert answer.peers == (SPEAKS,)


@pytest.mark.parametrize(
    ("fields", "warning"),
    [
        ({"tls_flags": b""}, "tls_flags ignored: 0 bytes for 1 peers, expected 1"),
        ({"tls_flags": b"\x01\x01"}, "tls_flags ignored: 2 bytes for 1 peers, expected 1"),
        ({"tls_flags": 1}, "tls_flags ignored: no string for 1 peers, expected 1"),
        ({"tls_pins": PIN[:31]}, "tls_pins ignored: 31 bytes for 1 peers, expected 32"),
        ({"tls_flags6": b"\x01"}, "tls_flags6 ignored: 1 bytes for 0 peers, expected 0"),
    ],
)
def test_lists_that_do_not_fit_are_ignored_and_said(fields: dict[str, object], warning: str) -> None:
    answer = _read(peers=bytes.fromhex("c00002010001"), **fields)
    assert answer.peers == (PLAIN,)
    assert answer.warnings == (warning,)


@pytest.mark.parametrize(
    ("entry", "warning"),
    [
        ({b"tls_flags": -1}, "tls_flags of a peer ignored: expected a number from 0 to 255"),
        ({b"tls_flags": 256}, "tls_flags of a peer ignored: expected a number from 0 to 255"),
        ({b"tls_flags": b"\x01"}, "tls_flags of a peer ignored: expected a number from 0 to 255"),
        ({b"tls_pin": PIN[:31]}, "tls_pin of a peer ignored: expected 32 bytes"),
    ],
)
def test_signals_of_a_dictionary_are_judged(entry: dict[bytes, object], warning: str) -> None:
    answer = _read(peers=[{b"ip": b"192.0.2.1", b"port": 1} | entry])
    assert answer.peers == (PLAIN,)
    assert answer.warnings == (warning,)


def test_warnings_are_bounded_and_cannot_steer_the_terminal() -> None:
    bad = {b"ip": b"192.0.2.1", b"port": 1, b"tls_flags": 999}
    assert len(_read(peers=[bad] * 100).warnings) == announce.MAX_WARNINGS
    body = bencode.encode({b"peers": b"", b"warning message": b"\x1b[2Jold client"})
    assert announce.decode_response(body).warnings == (r"it says: \x1b[2Jold client",)


@pytest.mark.parametrize(
    ("value", "shown"), [(b"\x08\x08\x08\x08", "8.8.8.8"), (b"", ""), (b"abc", ""), (9, "")]
)
def test_external_ip_of_bep_24(value: object, shown: str) -> None:
    assert _read(**{"external ip": value}).external_ip == shown


def test_a_request_signals_over_https_alone() -> None:
    request = AnnounceRequest(b"i" * 20, b"p" * 20, 1, requires_tls=True, tls_pin=PIN)
    url = request.url("https://t/a")
    assert "&supporttls=1&requiretls=1&tls_pin=" in url
    parsed = announce.parse_query(url.partition("?")[2])
    assert (parsed.supports_tls, parsed.requires_tls, parsed.tls_pin) == (True, True, PIN)
    for plain in ("http://t/a", "HTTP://t/a", "udp://t/a"):
        assert "tls" not in request.url(plain)


@pytest.mark.parametrize("value", ["0", "", "2", "true"])
def test_only_one_means_yes(value: str) -> None:
    base = AnnounceRequest(b"i" * 20, b"p" * 20, 1).query()
    assert not announce.parse_query(f"{base}&supporttls={value}&requiretls={value}").supports_tls
    assert announce.parse_query(f"{base}&requiretls=1").supports_tls, "who requires TLS speaks it"
    with pytest.raises(RemoteProtocolError, match="tls_pin must be 32 bytes"):
        announce.parse_query(f"{base}&tls_pin={value}")


_VALUES = (
    st.binary(max_size=80)
    | st.integers(-9, 300)
    | st.lists(
        st.dictionaries(
            st.sampled_from([b"ip", b"port", b"tls_flags", b"tls_pin"]),
            st.binary(max_size=40) | st.integers(-9, 300),
        ),
        max_size=3,
    )
)


@settings(deadline=None, max_examples=100)
@given(
    st.dictionaries(
        st.sampled_from(
            [
                b"peers",
                b"peers6",
                b"tls_flags",
                b"tls_flags6",
                b"tls_pins",
                b"tls_pins6",
                b"external ip",
                b"interval",
            ]
        ),
        _VALUES,
    )
)
def test_only_tracker_errors_escape(fields: dict[bytes, bencode.Encodable]) -> None:
    try:
        answer = announce.decode_response(bencode.encode(fields))
    except (TrackerFailure, RemoteProtocolError) as error:
        assert str(error)
    else:
        assert all(peer.pin is None or len(peer.pin) == 32 for peer in answer.peers)
