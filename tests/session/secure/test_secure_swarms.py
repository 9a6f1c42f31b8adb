"""The peers of an authenticated tracker: pins, expiry, removed members, addresses that are taken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from btresearch.peer import Address, AnnounceRequest, AnnounceResponse, KnownPeer
from btresearch.session.secure.errors import Refused
from btresearch.session.secure.members import Issue
from btresearch.session.secure.swarms import MAX_PEERS_PER_MEMBER, Swarms
from tests.session.secure.tracking import NOW_S, V1, rng

ALL = frozenset({"ann", "bob", "eve"})
SAID = AnnounceRequest(infohash=V1, peer_id=bytes(20), port=6881, left=1)


def _issue(name: str, life_s: int = 3600) -> Issue:
    return Issue(name.encode().ljust(20), name.encode().ljust(32), NOW_S, NOW_S + life_s)


def _announce(
    swarms: Swarms, name: str, port: int, *, at_s: float = 0, said: Any = SAID, **more: Any
) -> AnnounceResponse:
    fields: dict[str, Any] = {"member": name, "issue": _issue(name), "entitled": ALL, "now_s": NOW_S + at_s}
    address = Address("192.0.2.1", port)
    response, peer_ids = swarms.announce(1, replace(said, port=port), address, **(fields | more))
    assert len(peer_ids) == len(response.peers)
    return response


def _pins(response: AnnounceResponse) -> list[bytes | None]:
    assert all(peer.requires_tls and peer.tls for peer in response.peers)
    return sorted((peer.pin for peer in response.peers), key=lambda pin: pin or b"")


@pytest.fixture
def swarms() -> Swarms:
    return Swarms(120, rng())


def test_peers_come_with_the_pin_that_they_announced(swarms: Swarms) -> None:
    assert _announce(swarms, "ann", 1).peers == ()
    assert _announce(swarms, "bob", 2).peers == (
        KnownPeer(Address("192.0.2.1", 1), tls=True, requires_tls=True, pin=_issue("ann").pin),
    )
    assert _pins(_announce(swarms, "ann", 1)) == [_issue("bob").pin]


def test_a_removed_members_peers_are_gone_at_once(swarms: Swarms) -> None:
    _announce(swarms, "eve", 1)
    assert _announce(swarms, "ann", 2, entitled=frozenset({"ann"})).peers == ()
    assert _announce(swarms, "ann", 2).peers == ()


def test_listed_no_longer_than_the_certificate_and_two_intervals(swarms: Swarms) -> None:
    _announce(swarms, "ann", 1, issue=_issue("ann", 100))
    _announce(swarms, "bob", 2)
    assert len(_announce(swarms, "eve", 3, at_s=99).peers) == 2
    assert _pins(_announce(swarms, "eve", 3, at_s=100)) == [_issue("bob").pin]
    assert _announce(swarms, "eve", 3, at_s=240).peers == ()


def test_without_a_certificate_not_listed(swarms: Swarms) -> None:
    _announce(swarms, "ann", 1)
    assert len(_announce(swarms, "bob", 2, issue=None).peers) == 1
    assert _announce(swarms, "ann", 1).peers == ()


def test_another_members_address_is_not_taken_over(swarms: Swarms) -> None:
    """Else one behind the same NAT could put his pin on her port."""
    _announce(swarms, "ann", 1)
    for said in (SAID, replace(SAID, event="stopped")):
        with pytest.raises(Refused, match="another member") as refused:
            _announce(swarms, "eve", 1, said=said)
        assert refused.value.status == 403
    assert _pins(_announce(swarms, "bob", 2)) == [_issue("ann").pin]
    _announce(swarms, "eve", 1, at_s=240)


def test_stopped_and_counts(swarms: Swarms) -> None:
    _announce(swarms, "ann", 1, said=replace(SAID, left=0))
    answer = _announce(swarms, "bob", 2, said=replace(SAID, left=0))
    assert (answer.seeds, answer.leeches, answer.peers) == (2, 0, ())  # a seed is told of no seeds
    _announce(swarms, "ann", 1, said=replace(SAID, event="stopped"))
    assert len(swarms) == 1


def test_peers_of_one_member_are_bounded(swarms: Swarms) -> None:
    for port in range(1, MAX_PEERS_PER_MEMBER + 1):
        _announce(swarms, "ann", port)
    with pytest.raises(Refused, match="too many"):
        _announce(swarms, "ann", 1000)
    _announce(swarms, "ann", 1)
    assert len(_announce(swarms, "bob", 2000).peers) == MAX_PEERS_PER_MEMBER
