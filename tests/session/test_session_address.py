"""Addresses and their compact forms (BEP 23, BEP 7)."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.session.address import IPV4_BYTES, IPV6_BYTES, Address, pack, unpack

PORTS = st.integers(1, 65535)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.ip_addresses(), PORTS), max_size=20))
def test_pack_and_unpack(pairs: list[tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]]) -> None:
    addresses = [Address.of(str(ip), port) for ip, port in pairs]
    four, six = pack(addresses)
    assert sorted(unpack(four, IPV4_BYTES) + unpack(six, IPV6_BYTES)) == sorted(addresses)


@settings(deadline=None, max_examples=100)
@given(st.ip_addresses(), PORTS)
def test_text_round_trip(ip: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int) -> None:
    address = Address(str(ip), port)
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize("text", ["", "host", "host:", ":80", "host:0", "host:65536", "host:x", "host:-1"])
def test_bad_text(text: str) -> None:
    with pytest.raises(ValueError, match="expected HOST:PORT"):
        Address.parse(text)


def test_mapped_and_scoped_addresses_have_one_name() -> None:
    assert Address.of("::ffff:192.0.2.1", 1) == Address("192.0.2.1", 1)
    assert Address.of("fe80::1%eth0", 1) == Address("fe80::1", 1)
    assert Address.of("name.example", 1) == Address("name.example", 1)
    assert pack([Address("name.example", 1)]) == (b"", b"")
