"""The 68 bytes of BEP 3 and the reserved bits of BEP 5, 6 and 10."""

from __future__ import annotations

import pytest

from btresearch.peer import handshake
from btresearch.peer.errors import LocalProtocolError, RemoteProtocolError
from btresearch.peer.handshake import Handshake

INFOHASH, PEER_ID = bytes(range(20)), b"-XX0001-abcdefghijkl"


def test_bytes_on_the_wire() -> None:
    encoded = Handshake(INFOHASH, PEER_ID).encode()
    # BEP 10: reserved_byte[5] & 0x10; BEP 6: reserved[7] |= 0x04; BEP 5: reserved[7] & 0x01 stays off
    assert encoded == b"\x13BitTorrent protocol" + bytes.fromhex("0000000000100004") + INFOHASH + PEER_ID
    assert len(encoded) == 68
    assert handshake.decode(encoded) == Handshake(INFOHASH, PEER_ID)


@pytest.mark.parametrize(
    ("reserved", "fast", "extended"), [(0, 0, 0), (4, 1, 0), (1 << 20, 0, 1), (2**64 - 1, 1, 1)]
)
def test_reserved_bits(reserved: int, fast: int, extended: int) -> None:
    decoded = handshake.decode(Handshake(INFOHASH, PEER_ID, reserved).encode())
    assert decoded is not None
    assert (decoded.fast, decoded.extended) == (bool(fast), bool(extended))


def test_every_prefix_waits_for_more() -> None:
    encoded = Handshake(INFOHASH, PEER_ID).encode()
    assert all(handshake.decode(encoded[:end]) is None for end in range(68))


@pytest.mark.parametrize(
    "first", [b"GET / HTTP/1.1\r\n", b"\x13BitTorrent protocoL", b"\x16\x03\x01", b"\x14"]
)
def test_another_protocol_is_told_at_once(first: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="protocol string"):
        handshake.decode(first)


@pytest.mark.parametrize(
    ("infohash", "peer_id"), [(b"", PEER_ID), (INFOHASH, b"short"), (bytes(32), PEER_ID)]
)
def test_own_lengths_are_checked(infohash: bytes, peer_id: bytes) -> None:
    with pytest.raises(LocalProtocolError, match="20 bytes"):
        Handshake(infohash, peer_id).encode()
