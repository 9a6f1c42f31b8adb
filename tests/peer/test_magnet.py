"""Magnet links: BEP 9's forms, both encodings of the infohash, and links that are none."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.errors import InputError
from btresearch.peer import Magnet
from btresearch.peer.tls_info import decode_link

HEX = "c12fe1c06bba254a9dc9f519b335aa7c1367a88a"
INFOHASH = bytes.fromhex(HEX)


def test_every_parameter() -> None:
    magnet = Magnet.parse(
        f"magnet:?xt=urn:btih:{HEX}&dn=a+file%20name&tr=http%3A%2F%2Ft%2Fa%3Fk%3D1&tr.1=udp://u:1"
        "&x.pe=192.0.2.1:6881&x.pe=[2001:db8::1]:51413&x.pe=host.example:1&xl=123&x.tls=ZDE6&so=1"
    )
    assert magnet == Magnet(
        infohash=INFOHASH,
        name="a file name",
        trackers=("http://t/a?k=1", "udp://u:1"),
        peers=(("192.0.2.1", 6881), ("2001:db8::1", 51413), ("host.example", 1)),
        length_bytes=123,
        tls="ZDE6",
    )


@pytest.mark.parametrize("text", [HEX, HEX.upper(), base64.b32encode(INFOHASH).decode().lower()])
def test_infohash_in_hex_and_base32(text: str) -> None:
    assert Magnet.parse(f"MAGNET:?xt=urn:btih:{text}").infohash == INFOHASH


def test_bytes_that_are_no_text_can_be_written_again() -> None:
    magnet = Magnet.parse(f"magnet:?xt=urn:btih:{HEX}&dn=a\udca7b&tr=http://\udcff/")
    assert (magnet.name, magnet.trackers) == ("a?b", ("http://?/",))
    assert Magnet.parse(magnet.format()) == magnet


def test_the_v1_topic_of_a_hybrid_is_used() -> None:
    assert Magnet.parse(f"magnet:?xt=urn:btmh:1220{'00' * 32}&xt=urn:btih:{HEX}").infohash == INFOHASH


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "http://example/",
        "magnet:?dn=x",
        "magnet:?xt=urn:btih:",
        "magnet:?xt=urn:btih:" + "0" * 39,
        "magnet:?xt=urn:btih:" + "g" * 40,
        "magnet:?xt=urn:btih:" + "1" * 32,  # 1 is not in base32's alphabet
        "magnet:?xt=urn:btih:é" + "0" * 39,
        "magnet:?xt=urn:btmh:1220" + "00" * 31,
        "magnet:?" + "&".join(["a=b"] * 2000),
        f"magnet:?xt=urn:btih:{HEX}&dn=" + "x" * 70_000,
    ],
)
def test_refused(uri: str) -> None:
    with pytest.raises(InputError, match="magnet link"):
        Magnet.parse(uri)


@pytest.mark.parametrize(
    "peer", ["", "host", "host:", ":1", "host:0", "host:65536", "host:x", "host:-1", "h:١"]
)
def test_malformed_peers_and_lengths_are_left_out(peer: str) -> None:
    magnet = Magnet.parse(f"magnet:?xt=urn:btih:{HEX}&x.pe={peer}&xl=-5")
    assert magnet.peers == ()
    assert magnet.length_bytes is None


text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
peer = st.tuples(st.ip_addresses().map(str), st.integers(1, 65535))


magnets = st.builds(
    Magnet,
    infohash=st.binary(min_size=20, max_size=20),
    name=st.none() | text,
    trackers=st.lists(text, max_size=3).map(tuple),
    peers=st.lists(peer, max_size=3).map(tuple),
    length_bytes=st.none() | st.integers(0, 2**50),
    tls=st.none() | text,
)


@settings(deadline=None, max_examples=100)
@given(magnets)
def test_round_trip(magnet: Magnet) -> None:
    assert Magnet.parse(magnet.format()) == magnet


def test_v2_topics() -> None:
    v2 = bytes(range(32))
    both = Magnet.parse(f"magnet:?xt=urn:btih:{HEX}&xt=urn:btmh:1220{v2.hex()}")
    assert (both.infohash, both.infohash_v2, both.infohashes) == (INFOHASH, v2, (INFOHASH, v2))
    only = Magnet.parse(f"magnet:?xt=urn:btmh:1220{v2.hex()}")
    assert (only.infohash, only.infohash_v2, only.infohashes) == (v2[:20], v2, (v2,))
    for magnet in (both, only):
        assert Magnet.parse(magnet.format()) == magnet
    assert only.format() == f"magnet:?xt=urn:btmh:1220{v2.hex()}"


@pytest.mark.parametrize("text", ["1114" + "00" * 20, "1220" + "00" * 33, "1220" + "0 " * 32, "1220", ""])
def test_other_multihashes_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="urn:btmh"):
        Magnet.parse(f"magnet:?xt=urn:btmh:{text or 'x'}")


@pytest.mark.parametrize("tls", ["x.tls", "x.tls="])
def test_an_empty_x_tls_is_not_a_link_without_one(tls: str) -> None:
    magnet = Magnet.parse(f"magnet:?xt=urn:btih:{'00' * 20}&dn=&{tls}")
    assert (magnet.tls, magnet.name) == ("", None)
    with pytest.raises(InputError, match="base64url"):
        decode_link(magnet.tls or "")


def test_x_tls_twice_is_refused() -> None:
    with pytest.raises(InputError, match="tls once"):
        Magnet.parse(f"magnet:?xt=urn:btih:{'00' * 20}&x.tls=ZDE6&x.tls=ZDE7")
