"""Round trips until the responder's handshake and until the first block, without a clock."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from btresearch.peer import LocalProtocolError, PieceSet, opening
from btresearch.peer.fast import MAX_FAST_REQUESTS
from btresearch.peer.handshake import Handshake
from btresearch.peer.messages import AllowedFast, Bitfield, HaveAll, Piece, Reject, Unchoke
from btresearch.transport import Clear, Transport
from btresearch.transport.btls import Initiator, Keyring, Responder, TorrentKey
from tests.peer.link import deliver, established, pair
from tests.session.flights import HOSTS, LAYOUT, converse
from tests.transport.btls.certificates import Authority, leaf
from tests.transport.pairs import INFOHASH, NOW_S, browser, identity

Pair = tuple[Transport, Transport]


def _btls(key: TorrentKey) -> Pair:
    initiator = Initiator(key, client=browser())
    return initiator, Responder(Keyring([key]), identity(), entropy=os.urandom)


def _full() -> Pair:
    key, authority = TorrentKey.derive(INFOHASH, "full", bytes(32)), Authority()
    clock = {"entropy": os.urandom, "now_s": lambda: float(NOW_S)}
    initiator = Initiator(key, client=browser(), member=authority.member(leaf(1)), **clock)  # type: ignore[arg-type]
    member = authority.member(leaf(2))
    responder = Responder(Keyring([key]), identity(), member_of=lambda _: member, **clock)  # type: ignore[arg-type]
    return initiator, responder


PAIRS: dict[str, Callable[[], Pair]] = {
    "clear": lambda: (Clear(), Clear()),
    "btls_basic": lambda: _btls(TorrentKey.basic(INFOHASH)),
    "btls_strict": lambda: _btls(TorrentKey.derive(INFOHASH, "strict", bytes(32))),
    "btls_full": _full,
}


@pytest.mark.parametrize(
    ("name", "handshake_trips", "block_trips"),
    [("clear", 2, 4), ("btls_basic", 4, 6), ("btls_strict", 4, 6), ("btls_full", 6, 8)],
)
def test_trips_to_the_handshake_and_to_the_first_block(
    name: str, handshake_trips: int, block_trips: int
) -> None:
    initiator, responder = converse(*PAIRS[name]())
    assert initiator.transport.name == name
    assert initiator.heard[Handshake] == handshake_trips
    assert initiator.heard[Piece] == block_trips
    assert Unchoke not in initiator.heard, "it came from the allowed-fast set"
    assert Reject not in initiator.heard
    assert responder.served >= 8


def test_what_the_responder_has_needs_no_answer_first() -> None:
    initiator, _ = converse(*PAIRS["btls_basic"]())
    assert initiator.heard[Bitfield] == initiator.heard[Handshake]
    assert HaveAll not in initiator.heard
    assert initiator.connection.peer_is_seed


@pytest.mark.parametrize("seen_as", ["192.0.2.1", "", "2001:db8::1"])
def test_a_wrong_guess_costs_a_reject_and_a_round_trip(seen_as: str) -> None:
    """Behind a NAT, or over IPv6: the responder's own allowed-fast messages are waited for."""
    initiator, responder = converse(*PAIRS["btls_basic"](), seen_as=seen_as)
    assert (Reject in initiator.heard) == (seen_as == "192.0.2.1")
    assert initiator.heard[AllowedFast] == 6
    assert initiator.heard[Piece] == 8
    assert responder.served


def test_a_free_slot_spares_the_guess() -> None:
    """As fast behind a NAT and over IPv6."""
    initiator, _ = converse(*PAIRS["btls_basic"](), seen_as="", unchokes=True)
    assert initiator.heard[Unchoke] == initiator.heard[Handshake] == 4
    assert initiator.heard[Piece] == 6


def test_nothing_is_granted_to_a_peer_seen_at_an_ipv6_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.session.flights.HOSTS", ("2001:db8::1", HOSTS[1]))
    initiator, responder = converse(*PAIRS["btls_basic"](), seen_as="2001:db8::1")
    assert not {AllowedFast, Piece, Reject} & set(initiator.heard)
    assert responder.served == 0


def test_what_comes_between_the_bitfield_and_the_handshake_is_told() -> None:
    initiator, responder = pair(layout=LAYOUT)
    responder.handshake()
    responder.early_bitfield(PieceSet(200, [3]))
    initiator.handshake()
    deliver(initiator, responder)
    responder.pieces(PieceSet(200, [3, 5]))
    deliver(responder, initiator)
    assert initiator.peer_pieces == PieceSet(200, [3, 5])


def test_a_choked_peer_is_served_so_much_and_no_more() -> None:
    leech, seed = established(layout=LAYOUT)
    seed.pieces(PieceSet.full(200))
    for index in range(100):
        seed.allowed_fast(index)
    deliver(seed, leech)
    blocks = [LAYOUT.block(index, number) for index in range(100) for number in range(2)]
    for block in blocks:
        leech.request(block)
    deliver(leech, seed)
    assert list(seed.peer_requests) == blocks[:MAX_FAST_REQUESTS]
    deliver(seed, leech)
    assert leech.allowed_while_choked == frozenset(range(MAX_FAST_REQUESTS // 2))


def test_a_guess_that_failed_once_is_not_tried_again() -> None:
    leech, seed = established(layout=LAYOUT)
    seed.pieces(PieceSet.full(200))
    deliver(seed, leech)
    leech.expect_fast([1, 2, 3])
    leech.request(LAYOUT.block(1, 0))
    assert deliver(leech, seed) == [] and deliver(seed, leech) == [Reject(*LAYOUT.block(1, 0))]
    assert not leech.allowed_while_choked
    with pytest.raises(LocalProtocolError, match="while choked"):
        leech.request(LAYOUT.block(2, 0))


def test_nothing_is_expected_of_a_peer_without_the_fast_extension() -> None:
    leech, _ = established(layout=LAYOUT, fast=False)
    leech.expect_fast([1])
    assert not leech.allowed_while_choked


@pytest.mark.parametrize(
    ("own", "peer", "external", "seen"),
    [
        ("127.0.0.1", "127.0.0.1", "", "127.0.0.1"),
        ("10.0.0.1", "10.0.0.2", "8.8.8.8", "10.0.0.1"),
        ("10.0.0.1", "8.8.4.4", "8.8.8.8", "8.8.8.8"),
        ("10.0.0.1", "8.8.4.4", "", ""),
        ("8.8.8.8", "8.8.4.4", "", "8.8.8.8"),
        ("", "8.8.4.4", "", ""),
    ],
)
def test_the_address_that_the_peer_sees(own: str, peer: str, external: str, seen: str) -> None:
    assert opening.seen_as(own, peer, external) == seen
