"""What holds for every transport."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.transport import TRANSPORTS, ProtocolError, Transport
from btresearch.transport.btls import Responder
from tests.transport.link import CHUNKINGS, Link
from tests.transport.pairs import PAIRS

HANDSHAKE = b"\x13BitTorrent protocol" + bytes(48)


def test_every_registered_transport_is_held_to_the_contract() -> None:
    assert set(TRANSPORTS) == {name.split()[0] for name in PAIRS}
    assert all(name == kind.name for name, kind in TRANSPORTS.items())


@pytest.mark.parametrize("pair", PAIRS)
def test_is_a_transport(pair: str) -> None:
    assert all(isinstance(end, Transport) for end in PAIRS[pair]())


@pytest.mark.parametrize("chunking", CHUNKINGS)
@pytest.mark.parametrize("pair", PAIRS)
def test_round_trip(pair: str, chunking: str) -> None:
    link = Link(*PAIRS[pair](), CHUNKINGS[chunking]).start()
    there, back = os.urandom(40_000), os.urandom(20_000)
    for n in range(0, len(there), 7_001):
        link.send(0, there[n : n + 7_001])
    link.send(1, back)
    assert link.apps == (back, there)
    assert [end.name for end in link.ends] == [pair.split(maxsplit=1)[0]] * 2


@pytest.mark.parametrize("pair", PAIRS)
def test_send_before_ready_is_queued_in_order(pair: str) -> None:
    link = Link(*PAIRS[pair]())
    if pair == "clear":
        assert link.ends[0].ready
        return
    for end in link.ends:
        assert not end.ready
        assert end.send(HANDSHAKE) == end.send(b"next") == b""
    link.start()
    assert all(end.ready for end in link.ends)
    assert link.apps == (HANDSHAKE + b"next",) * 2


@pytest.mark.parametrize("pair", PAIRS)
@given(garbage=st.binary(min_size=1, max_size=2000))
@settings(deadline=None, max_examples=25)
def test_garbage_raises_only_protocol_errors_or_ends_in_the_decoy(pair: str, garbage: bytes) -> None:
    for end in PAIRS[pair]():
        end.start()
        try:
            end.receive(garbage)
        except ProtocolError as error:
            assert error.reason
        else:
            assert pair == "clear" or not end.ready
            assert not isinstance(end, Responder) or end.verdict != "proven"


@pytest.mark.parametrize("pair", [pair for pair in PAIRS if TRANSPORTS[pair.split()[0]].repeatable])
def test_same_entropy_same_bytes(pair: str) -> None:
    first, second = Link(*PAIRS[pair]()).start(), Link(*PAIRS[pair]()).start()
    assert first.wires == second.wires


@pytest.mark.parametrize("pair", PAIRS)
@given(at=st.integers(0, 10_000), flip=st.integers(1, 255))
@settings(deadline=None, max_examples=15)
def test_a_flipped_bit_never_crashes(pair: str, at: int, flip: int) -> None:
    initiator, responder = PAIRS[pair]()
    ends, wire, sender = (initiator, responder), initiator.start(), 0
    try:
        while wire:
            broken = bytearray(wire)
            if 0 <= at < len(broken):
                broken[at] ^= flip
            at -= len(broken)
            sender = 1 - sender
            _, wire = ends[sender].receive(bytes(broken))
            wire += ends[sender].flush()
    except ProtocolError as error:
        assert error.reason
