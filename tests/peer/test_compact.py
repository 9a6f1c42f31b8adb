"""Compact peers: BEP 23 and BEP 7."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.peer import PeerAddress, RemoteProtocolError, compact

PEERS = [PeerAddress("192.0.2.1", 6881), PeerAddress("2001:db8::1", 51413), PeerAddress("name.example", 1)]


def test_bytes_on_the_wire() -> None:
    # BEP 23: 4 bytes address, 2 bytes port, network order; BEP 7: 16 and 2
    assert compact.encode_ipv4(PEERS) == bytes.fromhex("c00002011ae1")
    assert compact.encode_ipv6(PEERS) == bytes.fromhex("20010db8" + "00" * 11 + "01c8d5")


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.ip_addresses(v=4).map(str), st.integers(1, 65535)), max_size=5))
def test_round_trip_ipv4(peers: list[tuple[str, int]]) -> None:
    assert compact.decode_ipv4(compact.encode_ipv4(PeerAddress(*peer) for peer in peers)) == peers


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.ip_addresses(v=6).map(str), st.integers(1, 65535)), max_size=5))
def test_round_trip_ipv6(peers: list[tuple[str, int]]) -> None:
    assert compact.decode_ipv6(compact.encode_ipv6(PeerAddress(*peer) for peer in peers)) == peers


def test_odd_lengths_and_port_zero() -> None:
    assert compact.decode_ipv4(bytes(6)) == []
    with pytest.raises(RemoteProtocolError, match="multiple of 6"):
        compact.decode_ipv4(bytes(7))
    with pytest.raises(RemoteProtocolError, match="multiple of 18"):
        compact.decode_ipv6(bytes(6))
