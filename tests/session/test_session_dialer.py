"""Whom to dial, and when again."""

from __future__ import annotations

from btresearch.peer.address import Address
from btresearch.peer.known import KnownPeer
from btresearch.session.dialer import (
    FIRST_BACKOFF_NS,
    MAX_BACKOFF_NS,
    MAX_DIALLING,
    MAX_FAILURES,
    MAX_KNOWN,
    MAX_PINS,
    Dialer,
)

HERE, THERE = Address("192.0.2.1", 1), Address("192.0.2.2", 2)
KNOWN = {address: KnownPeer(address) for address in (HERE, THERE)}


def test_an_address_is_dialled_once_at_a_time() -> None:
    dialer = Dialer()
    dialer.add([KNOWN[HERE], KNOWN[THERE], KNOWN[HERE]])
    assert dialer.due(0, 10) == [HERE, THERE]
    assert dialer.due(0, 10) == []
    dialer.ended(HERE, 0, was_useful=False)
    assert dialer.due(FIRST_BACKOFF_NS - 1, 10) == []
    assert dialer.due(FIRST_BACKOFF_NS, 10) == [HERE]


def test_pauses_double_up_to_a_bound_and_strangers_are_given_up() -> None:
    dialer = Dialer()
    dialer.add([KNOWN[HERE]])
    dialer.add([KNOWN[THERE]], patient=True)
    pauses = []
    for _ in range(MAX_FAILURES + 6):
        dialer.due(1 << 62, 10)
        dialer.ended(HERE, 0, was_useful=False)
        pauses.append(dialer.ended(THERE, 0, was_useful=False))
    assert pauses[:3] == [FIRST_BACKOFF_NS, 2 * FIRST_BACKOFF_NS, 4 * FIRST_BACKOFF_NS]
    assert pauses[-1] == MAX_BACKOFF_NS
    assert dialer.due(1 << 62, 10) == [THERE]


def test_a_useful_peer_begins_anew() -> None:
    dialer = Dialer()
    dialer.add([KNOWN[HERE]])
    for _ in range(3):
        dialer.ended(HERE, 0, was_useful=False)
    assert dialer.failures(HERE) == 3
    assert dialer.ended(HERE, 0, was_useful=True) == FIRST_BACKOFF_NS
    assert dialer.failures(HERE) == 1


def test_a_pin_is_kept_and_a_newer_one_replaces_it() -> None:
    dialer = Dialer()
    dialer.add([KnownPeer(HERE, pin=b"1" * 32), KnownPeer(HERE), KNOWN[THERE]])
    assert (dialer.pin(HERE), dialer.pin(THERE), dialer.pin(Address("x", 1))) == (b"1" * 32, None, None)
    dialer.add([KnownPeer(HERE, pin=b"2" * 32)])
    assert dialer.pin(HERE) == b"2" * 32


def test_what_is_postponed_has_not_failed() -> None:
    dialer = Dialer()
    dialer.add([KNOWN[HERE]])
    dialer.due(0, 1)
    dialer.postpone(HERE, 0)
    assert dialer.failures(HERE) == 0
    assert (dialer.due(MAX_BACKOFF_NS - 1, 1), dialer.due(MAX_BACKOFF_NS, 1)) == ([], [HERE])


def test_bounds_and_forgetting() -> None:
    dialer = Dialer()
    dialer.add(KnownPeer(Address("192.0.2.1", port)) for port in range(1, MAX_KNOWN + 100))
    assert len(dialer.due(0, 10_000)) == MAX_DIALLING
    assert dialer.due(0, -3) == []
    dialer.forget("192.0.2.1")
    assert dialer.due(0, 10) == []
    dialer.add([KNOWN[THERE]])
    dialer.discard(THERE)
    assert dialer.ended(THERE, 0, was_useful=True) == 0
    assert dialer.due(1 << 62, 10) == []


def test_who_makes_dials_fail_is_not_rid_of_the_pin() -> None:
    """A member in the middle resets every dial, then names the address anew, as PEX lets him: without a pin."""
    dialer = Dialer()
    dialer.add([KnownPeer(HERE, pin=b"1" * 32)])
    for _ in range(MAX_FAILURES + 1):
        dialer.due(1 << 62, 10)
        dialer.ended(HERE, 0, was_useful=False)
    assert dialer.due(1 << 62, 10) == []
    dialer.add([KnownPeer(HERE, tls=True)])
    assert (dialer.due(1 << 62, 10), dialer.pin(HERE)) == ([HERE], b"1" * 32)


def test_pins_are_bounded_and_kept_for_addresses_that_had_no_room() -> None:
    dialer = Dialer()
    peers = [KnownPeer(Address("192.0.2.1", port), pin=b"1" * 32) for port in range(1, MAX_PINS + 2)]
    dialer.add(peers)
    kept = [dialer.pin(peer.address) is not None for peer in peers]
    assert kept == [False] + [True] * MAX_PINS
