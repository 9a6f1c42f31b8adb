"""Which transport is dialled with, which is accepted, and that nothing lowers a policy."""

from __future__ import annotations

import itertools

import pytest

from btresearch.errors import InputError
from btresearch.peer.address import Address
from btresearch.session.membership import Membership
from btresearch.session.policy import DEFAULT_TRANSPORTS, TLS_POLICIES, Policy
from btresearch.session.tls_memory import FAILURE_NS, MAX_FAILURES, MAX_HEARSAY, MAX_SPEAKERS, TlsMemory
from btresearch.transport.btls import TorrentKey

IH = bytes(range(20))
BASIC = Membership.basic(IH)
STRICT = Membership((TorrentKey.derive(IH, "strict", bytes(32)),))
FULL = Membership((TorrentKey.derive(IH, "full", bytes(32)),))
# transports, transport of the 1st, 2nd and 3rd dial, accepted wires, what becomes of TLS
POLICIES = [
    (("clear",), ("clear", "clear", "clear"), {"clear"}, "never"),
    (("mse_rc4", "clear"), ("mse_rc4", "clear", "mse_rc4"), {"mse", "clear"}, "never"),
    (("btls_basic",), ("btls_basic",) * 3, {"tls"}, "require"),
    (("btls_basic", "clear"), ("btls_basic",) * 3, {"tls", "clear"}, "prefer"),
    (("clear", "btls_basic"), ("clear",) * 3, {"tls", "clear"}, "allow"),
]


@pytest.mark.parametrize(("transports", "dials", "accepted", "tls"), POLICIES)
def test_policy(transports: tuple[str, ...], dials: tuple[str, ...], accepted: set[str], tls: str) -> None:
    policy = Policy(transports)
    assert tuple(policy.dial_with(failures) for failures in range(3)) == dials
    assert {wire for wire in ("clear", "mse", "tls") if policy.accepts(wire)} == accepted  # type: ignore[arg-type]
    assert policy.tls == tls


# policy -> (nothing known, TLS failed a moment ago, known to speak TLS, known and failed)
DIALS = {
    "require": ("btls_basic",) * 4,
    "prefer": ("btls_basic", "clear", "btls_basic", "btls_basic"),
    "allow": ("clear", "clear", "btls_basic", "btls_basic"),
    "never": ("clear",) * 4,
}


@pytest.mark.parametrize("tls", TLS_POLICIES)
def test_where_tls_is_indicated_only_never_dials_anything_else(tls: str) -> None:
    policy = Policy.choose(("btls_basic", "clear"), "rechunk", tls)
    assert policy.tls == tls
    situations = [(False, False), (False, True), (True, False), (True, True)]
    for failures in range(8):
        dialled = tuple(policy.dial_with(failures, indicated=i, tls_failed=f) for i, f in situations)
        assert dialled == DIALS[tls]


@pytest.mark.parametrize("membership", [STRICT, FULL])
@pytest.mark.parametrize("tls", [None, "require", "prefer", "allow"])
def test_above_basic_a_torrent_is_carried_by_its_level_alone(membership: Membership, tls: str | None) -> None:
    policy = Policy.choose(DEFAULT_TRANSPORTS, "rechunk", tls).of(membership)
    own = f"btls_{membership.level}"
    assert (policy.transports, policy.tls) == ((own,), "require")
    conditions = itertools.product(range(9), (False, True), (False, True))
    dials = {policy.dial_with(n, indicated=i, tls_failed=f) for n, i, f in conditions}
    assert dials == {own}
    assert not any(policy.carries(name) for name in ("clear", "mse_rc4", "mse_plain"))


def test_tls_cannot_be_ruled_out_above_basic_nor_a_level_wished_for() -> None:
    for policy in (Policy(("clear",)), Policy.choose(DEFAULT_TRANSPORTS, "none", "never")):
        with pytest.raises(InputError, match="requires TLS"):
            policy.of(STRICT)
        with pytest.raises(InputError, match="requires TLS"):
            policy.of(BASIC, requires_tls=True)
    with pytest.raises(InputError, match="btls_basic, which is the torrent's level"):
        Policy(("btls_strict", "clear")).of(BASIC)
    with pytest.raises(InputError, match="btls_strict, which is"):
        Policy(("btls_full",)).of(STRICT)


def test_a_wish_beside_the_info_dictionary_only_raises() -> None:
    assert Policy().of(BASIC, requires_tls=True).transports == ("btls_basic",)
    assert Policy(("btls_basic",)).of(BASIC, requires_tls=False).tls == "require"


@pytest.mark.parametrize(("transports", "shape"), [((), "none"), (("warp",), "none"), (("clear",), "round")])
def test_nonsense_is_refused(transports: tuple[str, ...], shape: str) -> None:
    with pytest.raises(InputError):
        Policy(transports, shape)
    with pytest.raises(InputError, match="tls"):
        Policy.choose(("clear",), "none", "perhaps")


def test_mse_methods_follow_the_policy() -> None:
    assert Policy(("mse_plain", "mse_rc4", "clear")).mse_methods() == ("plain", "rc4")
    assert Policy(("mse_rc4",)).mse_methods() == ("rc4",)


def test_failures_are_forgotten_in_ten_minutes_and_never_held_against_a_speaker() -> None:
    memory, here = TlsMemory(), Address("192.0.2.1", 1)
    memory.failed(here, 5)
    assert memory.failed_lately(here, 5 + FAILURE_NS - 1) and not memory.failed_lately(here, 5 + FAILURE_NS)
    assert FAILURE_NS == 600 * 10**9
    memory.speaks(here)
    assert memory.knows(here) and not memory.failed_lately(here, 6)
    memory.failed(here, 7)
    assert memory.knows(here) and not memory.failed_lately(here, 8)


def test_a_flood_of_hearsay_forgets_nobody_who_spoke_tls() -> None:
    memory, here = TlsMemory(), Address("192.0.2.1", 1)
    memory.speaks(here)
    for port in range(1, MAX_HEARSAY + 3):
        memory.heard(Address("192.0.2.2", port))
    assert memory.knows(here) and memory.knows(Address("192.0.2.2", MAX_HEARSAY + 2))
    assert not memory.knows(Address("192.0.2.2", 1))


def test_what_another_peer_says_is_an_indication_too() -> None:
    memory, here = TlsMemory(), Address("192.0.2.1", 1)
    memory.failed(here, 5)
    memory.heard(here)
    memory.failed(here, 6)
    assert memory.knows(here) and not memory.failed_lately(here, 7)


def test_memory_is_bounded_and_the_oldest_goes() -> None:
    memory = TlsMemory()
    for port in range(1, MAX_SPEAKERS + 2):
        memory.speaks(Address("192.0.2.1", port))
    for port in range(1, MAX_FAILURES + 2):
        memory.failed(Address("192.0.2.2", port), 0)
    assert not memory.knows(Address("192.0.2.1", 1)) and memory.knows(Address("192.0.2.1", 2))
    lately = [memory.failed_lately(Address("192.0.2.2", port), 1) for port in (1, 2)]
    assert lately == [False, True]
