"""Compact peers: BEP 23 and BEP 7."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.peer import Address, RemoteProtocolError, compact

PEERS = [Address("192.0.2.1", 6881), Address("2001:db8::1", 51413), Address("name.example", 1)]


def test_bytes_on_the_wire() -> None:
    # BEP 23: 4 bytes address, 2 bytes port, network order; BEP 7: 16 and 2
    four, six = compact.encode(PEERS)
    assert four == bytes.fromhex("c00002011ae1")
    assert six == bytes.fromhex("20010db8" + "00" * 11 + "01c8d5")


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.ip_addresses(), st.integers(1, 65535)), max_size=20))
def test_round_trip(pairs: list[tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]]) -> None:
    peers = [Address.of(str(ip), port) for ip, port in pairs]
    four, six = compact.encode(peers)
    assert sorted(compact.decode_ipv4(four) + compact.decode_ipv6(six)) == sorted(peers)


def test_an_ipv4_peer_among_the_ipv6_ones_has_its_ipv4_name() -> None:
    mapped = bytes.fromhex("00" * 10 + "ffff" + "c0000201" + "1ae1")
    assert compact.decode_ipv6(mapped) == [Address("192.0.2.1", 6881)]


def test_odd_lengths_and_port_zero() -> None:
    assert compact.decode_ipv4(bytes(6)) == []
    with pytest.raises(RemoteProtocolError, match="multiple of 6"):
        compact.decode_ipv4(bytes(7))
    with pytest.raises(RemoteProtocolError, match="multiple of 18"):
        compact.decode_ipv6(bytes(6))
