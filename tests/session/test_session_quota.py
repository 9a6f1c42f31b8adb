"""How much one address may ask of an endpoint."""

from __future__ import annotations

import pytest

from btresearch.peer.address import Address
from btresearch.session.quota import LOOKUPS_PER_MINUTE, MAX_ADDRESSES, Quota, network


def test_lookups_are_limited_per_address_and_per_ipv6_network() -> None:
    quota = Quota()
    first = Address("2001:db8::1", 1)
    assert all(quota.admit(first) for _ in range(LOOKUPS_PER_MINUTE))
    neighbour, stranger = Address("2001:db8:0:ff::2", 1), Address("2001:db8:0:100::1", 1)
    admitted = (quota.admit(neighbour), quota.admit(stranger), quota.admit(Address("192.0.2.1", 1)))
    assert admitted == (False, True, True)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:0:ff::2", "2001:db8::/56"),
        ("fe80::1%eth0", "fe80::/56"),
        ("peer.example", "peer.example"),
        ("no:address", "no:address"),
    ],
)
def test_network_of_whatever_a_tracker_may_name(host: str, expected: str) -> None:
    assert network(host) == expected


def test_memory_is_bounded() -> None:
    quota = Quota()
    assert all(quota.admit(Address(f"10.{n >> 8}.{n & 255}.1", 1)) for n in range(MAX_ADDRESSES + 100))
    assert len(quota._counts) == MAX_ADDRESSES
