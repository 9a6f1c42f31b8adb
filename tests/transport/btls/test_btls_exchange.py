"""Two ends of level Full's exchange back to back, without TLS: fixed exporter values stand for it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.transport import LocalProtocolError, RemoteProtocolError
from btresearch.transport.btls.authenticator import AuthenticatorKeys
from btresearch.transport.btls.exchange import SCRIPT, Exchange, Step
from btresearch.transport.btls.keys import Role
from tests.transport.btls.members import member
from tests.transport.link import CHUNKINGS, Chunking, seeded, whole
from tests.transport.pairs import INFOHASH, NOW_S

APP = b"\x13BitTorrent protocol"
KEYS: Mapping[Role, AuthenticatorKeys] = {
    "initiator": AuthenticatorKeys(b"\1" * 32, b"\2" * 32, "sha256"),
    "responder": AuthenticatorKeys(b"\3" * 32, b"\4" * 32, "sha256"),
}


def end(role: Role, kind: str = "ed25519", *, keys: Mapping[Role, AuthenticatorKeys] = KEYS) -> Exchange:
    number = 1 + (role == "responder")
    return Exchange(role, keys, INFOHASH, member(number, kind), entropy=seeded(number), now_s=lambda: NOW_S)


def run(initiator: Exchange, responder: Exchange, chunking: Chunking = whole) -> list[bytes]:
    """Carry frames until nobody has anything to say; return the flights."""
    flights, ends = [responder.receive(b"")], (initiator, responder)
    for receiver in itertools.cycle(ends):
        said = b"".join(receiver.receive(chunk) for chunk in chunking(flights[-1]))
        if not said:
            return flights
        flights.append(said)
    raise AssertionError


@pytest.mark.parametrize("chunking", CHUNKINGS)
@pytest.mark.parametrize("kinds", list(itertools.product(["p256", "ed25519", "rsa"], repeat=2)))
def test_three_flights_and_both_know_each_other(kinds: tuple[str, str], chunking: str) -> None:
    initiator, responder = end("initiator", kinds[0]), end("responder", kinds[1])
    flights = run(initiator, responder, CHUNKINGS[chunking])
    assert (initiator.done, responder.done, len(flights)) == (True, True, 3)
    assert initiator.leaf is not None
    assert responder.leaf is not None
    assert initiator.leaf.spki_sha256 == member(2, kinds[1]).credential.spki_sha256
    assert responder.leaf.spki_sha256 == member(1, kinds[0]).credential.spki_sha256


def test_the_same_entropy_and_keys_give_the_same_bytes() -> None:
    assert run(end("initiator"), end("responder")) == run(end("initiator"), end("responder"))


@pytest.mark.parametrize("cut", [0, 1, len(APP)])
def test_what_follows_the_last_frame_is_the_application_s(cut: int) -> None:
    initiator, responder = end("initiator"), end("responder")
    last = responder.receive(initiator.receive(responder.receive(b"")))
    initiator.receive(last + APP[:cut])
    assert (initiator.done, initiator.rest(), initiator.rest()) == (True, APP[:cut], b"")


def test_the_script_of_one_end_mirrors_the_other_s() -> None:
    mirror = {
        Step.SEND_REQUEST: Step.TAKE_REQUEST,
        Step.TAKE_REQUEST: Step.SEND_REQUEST,
        Step.SEND_AUTHENTICATOR: Step.TAKE_AUTHENTICATOR,
        Step.TAKE_AUTHENTICATOR: Step.SEND_AUTHENTICATOR,
    }
    assert tuple(mirror[step] for step in SCRIPT["initiator"]) == SCRIPT["responder"]


def test_the_keys_are_the_sender_s() -> None:
    """Were both ends to use one side's labels, an authenticator could be reflected."""
    swapped: Mapping[Role, AuthenticatorKeys] = {
        "initiator": KEYS["responder"],
        "responder": KEYS["initiator"],
    }
    with pytest.raises(RemoteProtocolError, match="not of this connection"):
        run(end("initiator"), end("responder", keys=swapped))


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_a_flight_damaged_anywhere_lets_nobody_in(data: st.DataObject) -> None:
    """Whatever is changed on the way: declared errors alone, and no end that is done by it."""
    initiator, responder = end("initiator"), end("responder")
    target = data.draw(st.integers(0, 2))
    steps: list[Callable[[bytes], bytes]] = [responder.receive, initiator.receive, responder.receive]
    flight = b""
    try:
        for number, step in enumerate(steps):
            flight = step(flight)
            if number == target:
                damaged = bytearray(flight)
                damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
                flight = bytes(damaged)
        initiator.receive(flight)
    except (RemoteProtocolError, LocalProtocolError) as error:
        assert isinstance(error, RemoteProtocolError)
    assert not (initiator.done and responder.done)
