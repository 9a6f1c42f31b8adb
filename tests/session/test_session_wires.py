"""Which transport is dialled with, and which is accepted."""

from __future__ import annotations

import asyncio

import pytest

from btresearch.errors import InputError
from btresearch.peer.address import Address
from btresearch.session.wires import LOOKUPS_PER_MINUTE, Policy, Wires, _Quota, network
from btresearch.transport import Clear, MseInitiator, MseResponder
from btresearch.transport.btls import Initiator, Responder

IH = bytes(range(20))
# transports, transport of the 1st, 2nd and 3rd dial, accepted wires, TLS only
POLICIES = [
    (("clear",), ("clear", "clear", "clear"), {"clear"}, False),
    (("mse_rc4", "clear"), ("mse_rc4", "clear", "mse_rc4"), {"mse", "clear"}, False),
    (("btls_basic",), ("btls_basic",) * 3, {"tls"}, True),
    (("btls_basic", "clear"), ("btls_basic",) * 3, {"tls", "clear"}, False),
    (("clear", "btls_basic"), ("clear",) * 3, {"tls", "clear"}, False),
]


@pytest.mark.parametrize(("transports", "dials", "accepted", "tls_only"), POLICIES)
def test_policy(
    transports: tuple[str, ...], dials: tuple[str, ...], accepted: set[str], tls_only: bool
) -> None:
    policy = Policy(transports)
    assert tuple(policy.dial_with(failures) for failures in range(3)) == dials
    assert {wire for wire in ("clear", "mse", "tls") if policy.accepts(wire)} == accepted  # type: ignore[arg-type]
    assert policy.requires_tls is tls_only


@pytest.mark.parametrize(("transports", "shape"), [((), "none"), (("warp",), "none"), (("clear",), "round")])
def test_nonsense_is_refused(transports: tuple[str, ...], shape: str) -> None:
    with pytest.raises(InputError):
        Policy(transports, shape)


def test_transports_made() -> None:
    wires, address = Wires(Policy()), Address("192.0.2.1", 1)
    wires.serve(IH)
    asyncio.run(wires.prepare("192.0.2.2", keep_identity=False))
    made = [wires.outgoing(name, IH) for name in ("clear", "mse_rc4", "mse_plain", "btls_basic")]
    assert [type(transport) for transport in made] == [Clear, MseInitiator, MseInitiator, Initiator]
    taken = [wires.incoming(wire, address) for wire in ("clear", "mse", "tls")]  # type: ignore[arg-type]
    assert [type(transport) for transport in taken] == [Clear, MseResponder, Responder]


def test_mse_methods_follow_the_policy() -> None:
    assert Policy(("mse_plain", "mse_rc4", "clear")).mse_methods() == ("plain", "rc4")
    assert Policy(("mse_rc4",)).mse_methods() == ("rc4",)


def test_lookups_are_limited_per_address_and_per_ipv6_network() -> None:
    quota = _Quota()
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
