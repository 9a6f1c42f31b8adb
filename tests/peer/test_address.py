"""Addresses: text and back, and one name per peer."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.peer import Address


@settings(deadline=None, max_examples=100)
@given(st.ip_addresses(), st.integers(1, 65535))
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
