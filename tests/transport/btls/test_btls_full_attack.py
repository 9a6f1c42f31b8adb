"""Level Full under attack by those who hold the secret: ex-members, members of other torrents, insiders."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.transport import RemoteProtocolError
from btresearch.transport.btls import Credential, Initiator, Member, Responder, authenticator, frame, request
from btresearch.transport.btls.exchange import Exchange
from tests.transport.btls.certificates import HOUR_S, Authority, Recipe, ca, leaf
from tests.transport.btls.members import AUTHORITY, FULL, Impostor, Intruder, answer_full, dial_full, member
from tests.transport.link import Link, seeded
from tests.transport.pairs import INFOHASH, NOW_S, OTHER

APP = b"\x13BitTorrent protocol and what follows"


def credential_of(recipe: Recipe, *issuers: Recipe) -> Member:
    """What an attacker presents; he accepts whom the torrent accepts."""
    return Member(
        Authority(issuers[-1]).member(recipe, *issuers[:-1]).credential, frozenset({AUTHORITY.anchor})
    )


def meet(initiator: Initiator, responder: Responder) -> str:
    """Let both run; return why one of them refused the other. Neither application has got a byte then."""
    initiator.send(APP)
    responder.send(APP)
    link = Link(initiator, responder)
    with pytest.raises(RemoteProtocolError) as refused:
        link.start()
    assert link.apps[1] == b""
    assert (refused.value.goodbye[:1], responder.infohash) == (
        b"\x17",
        None if not responder.ready else INFOHASH,
    )
    return refused.value.reason


NO_MEMBERS = {
    "own CA": credential_of(leaf(7), ca(120)),
    "own CA of the same name": credential_of(leaf(7), replace(ca(120), subject=AUTHORITY.recipe.subject)),
    "other torrent": AUTHORITY.member(leaf(7, names=[f"urn:btih:{OTHER.hex()}"])),
    "wildcard": AUTHORITY.member(leaf(7, names=["urn:btih:*"])),
    "expired": AUTHORITY.member(replace(leaf(7), end_s=NOW_S)),
    "leaf as CA": AUTHORITY.member(leaf(7), replace(leaf(8), subject="Friend")),
    "stolen leaf": replace(member(), credential=replace(member(1).credential, private_key=leaf(7).key)),
    "leaf alone": replace(
        member(), credential=replace(member(1).credential, chain=member(1).credential.chain[:1])
    ),
}


@pytest.mark.parametrize("who", NO_MEMBERS)
def test_the_responder_refuses_who_is_no_member(who: str) -> None:
    initiator, responder = dial_full(NO_MEMBERS[who]), answer_full()
    assert meet(initiator, responder).startswith("btls: ")
    assert not responder.ready
    assert responder.peer_leaf is None
    assert not initiator.ready


@pytest.mark.parametrize("who", NO_MEMBERS)
def test_the_initiator_refuses_who_is_no_member(who: str) -> None:
    """The responder asked first, so it has seen the initiator's certificate: the table says so."""
    initiator, responder = dial_full(), answer_full(NO_MEMBERS[who])
    assert meet(initiator, responder).startswith("btls: ")
    assert not initiator.ready
    assert initiator.peer_leaf is None
    assert responder.peer_leaf is not None


def test_a_membership_that_ends_between_two_connections() -> None:
    ends_s = NOW_S + 4 * HOUR_S
    link = Link(dial_full(now_s=ends_s - 1), answer_full(now_s=ends_s - 1)).start()
    assert link.ends[1].ready
    # The session closes the connection then; nobody is let in anew.
    assert link.ends[1].expires_s == ends_s  # type: ignore[attr-defined]
    assert "expired" in meet(dial_full(now_s=ends_s - 1), answer_full(now_s=ends_s))


def in_the_middle(pin: bytes | None) -> tuple[Link, Link]:
    """An enrolled member terminates TLS on both sides; return victim - insider and insider - server."""
    insider = member(3)
    return Link(dial_full(member(1), pin=pin), answer_full(insider)), Link(
        dial_full(insider), answer_full(member(2))
    )


def test_an_insider_in_the_middle_is_a_member_and_that_is_all_that_is_proved() -> None:
    """The limit that the BEP states: without pins, Full proves *a* member, not *which*."""
    to_victim, to_server = in_the_middle(None)
    to_victim.start()
    to_server.start()
    to_victim.send(0, APP)
    to_server.send(0, bytes(to_victim.apps[1]))
    assert to_server.apps[1] == APP
    victim, insider = to_victim.ends[0], member(3).credential
    assert isinstance(victim, Initiator)
    assert victim.peer_leaf is not None
    assert victim.peer_leaf.spki_sha256 == insider.spki_sha256 != member(2).credential.spki_sha256


def test_a_pin_keeps_the_insider_out() -> None:
    wanted = member(2).credential.spki_sha256
    to_victim, _ = in_the_middle(wanted)
    victim = to_victim.ends[0]
    victim.send(APP)
    with pytest.raises(RemoteProtocolError, match="pinned"):
        to_victim.start()
    assert (victim.ready, to_victim.apps[1]) == (False, b"")
    # And the one who was meant passes.
    assert Link(dial_full(member(1), pin=wanted), answer_full(member(2))).start().ends[0].ready


def test_authenticators_carried_between_two_connections_are_refused() -> None:
    """A middle that holds the secret but no credential passes on what both members say."""
    initiator, responder = dial_full(member(1)), answer_full(member(2))
    impostor, intruder = Impostor(initiator), Intruder(responder)
    _, first = intruder.say(intruder.hello(FULL))
    asked = first[51 + int.from_bytes(first[49:51], "big") :]
    _, flight = impostor.say(impostor.hello(FULL) + asked)
    with pytest.raises(RemoteProtocolError, match="not of this connection"):
        intruder.say(flight)
    assert (initiator.ready, responder.ready) == (False, False)


def speak(responder: Responder) -> tuple[Intruder, bytes]:
    """Prove the secret; return what the responder asks, without its frame."""
    intruder = Intruder(responder)
    _, first = intruder.say(intruder.hello(FULL))
    message = frame.take(bytearray(first[51 + int.from_bytes(first[49:51], "big") :]))
    assert message is not None
    return intruder, message


CONTEXT = bytes(range(32))
OWN = frame.encode(request.encode("initiator", CONTEXT))


def proof(intruder: Intruder, asked: bytes, own: Credential | None = None) -> bytes:
    """A right authenticator, framed."""
    keys = authenticator.export_keys(intruder.engine, "initiator")
    context, _ = request.decode("responder", asked)
    return frame.encode(authenticator.build(keys, asked, context, own or member(3).credential))


def test_a_member_by_hand_is_let_in() -> None:
    """The yardstick for what follows: each attack changes one thing of this."""
    responder = answer_full()
    intruder, asked = speak(responder)
    _, answer = intruder.say(OWN + proof(intruder, asked))
    assert responder.ready
    keys = authenticator.export_keys(intruder.engine, "responder")
    message = frame.take(bytearray(answer))
    assert message is not None
    assert authenticator.verified(keys, OWN[3:], CONTEXT, message) == member(2).credential.chain


@pytest.mark.parametrize("cut", [1, 3, 50, 54, 55, 57, 300])
def test_frames_may_come_in_any_records(cut: int) -> None:
    responder = answer_full()
    intruder, asked = speak(responder)
    flight = OWN + proof(intruder, asked)
    intruder.say(flight[:cut])
    assert not responder.ready
    intruder.say(flight[cut:])
    assert responder.ready


def empty(intruder: Intruder, asked: bytes) -> bytes:
    keys = authenticator.export_keys(intruder.engine, "initiator")
    nobody = authenticator.encode_certificate(asked[5:37], ())
    mac = authenticator.finished_mac(keys, asked, nobody, b"")
    return frame.encode(bytes([20]) + len(mac).to_bytes(3, "big") + mac)


def as_responder(intruder: Intruder, asked: bytes) -> bytes:
    keys = authenticator.export_keys(intruder.engine, "responder")
    return frame.encode(authenticator.build(keys, asked, asked[5:37], member(3).credential))


def for_another_request(intruder: Intruder, _asked: bytes) -> bytes:
    return proof(intruder, request.encode("responder", bytes(32)))


def of_another_connection(_intruder: Intruder, asked: bytes) -> bytes:
    return proof(Intruder(answer_full()), asked)


FLIGHTS = {
    "authenticator without a request": (proof, "message of type 11"),
    "two requests": (lambda i, a: OWN + OWN + proof(i, a), "message of type 17"),
    "authenticator before request": (lambda i, a: proof(i, a) + OWN, "message of type 11"),
    "the responder's context": (
        lambda i, a: frame.encode(request.encode("initiator", a[5:37])) + proof(i, a),
        "same context",
    ),
    "request in the wrong role": (
        lambda i, a: frame.encode(request.encode("responder", CONTEXT)) + proof(i, a),
        "message of type 13",
    ),
    "request reflected": (lambda i, a: frame.encode(a) + proof(i, a), "message of type 13"),
    "authenticator in the wrong role": (lambda i, a: OWN + as_responder(i, a), "not of this connection"),
    "another request's authenticator": (
        lambda i, a: OWN + for_another_request(i, a),
        "not of this connection",
    ),
    "another connection's authenticator": (
        lambda i, a: OWN + of_another_connection(i, a),
        "not of this connection",
    ),
    "empty authenticator": (lambda i, a: OWN + empty(i, a), "is empty"),
    "two authenticators": (lambda i, a: OWN + proof(i, a) + proof(i, a), "out of turn"),
    "BitTorrent at once": (lambda i, a: OWN + proof(i, a) + APP, "out of turn"),
    "BitTorrent instead": (lambda _i, _a: APP, "1 to 16384"),
    "frame of 16385": (lambda _i, _a: OWN + b"\0\x40\x01", "1 to 16384"),
    "frame of 0": (lambda _i, _a: OWN + bytes(3), "1 to 16384"),
    "frame of 16384 zeros": (lambda _i, _a: OWN + frame.encode(bytes(16384)), "message of type 0"),
    "no scheme that is ours": (
        lambda i, a: (
            frame.encode(OWN[3:].replace(bytes.fromhex("040308070804"), bytes.fromhex("050308080805")))
            + proof(i, a)
        ),
        "does not accept",
    ),
}


@pytest.mark.parametrize("flight", FLIGHTS)
def test_a_flight_out_of_order_ends_the_connection(flight: str) -> None:
    make, why = FLIGHTS[flight]
    responder = answer_full()
    responder.send(APP)
    intruder, asked = speak(responder)
    with pytest.raises(RemoteProtocolError, match=why) as refused:
        intruder.say(make(intruder, asked))
    assert (responder.ready, responder.peer_leaf, responder.infohash) == (False, None, None)
    intruder.engine.feed(refused.value.goodbye)
    assert b"".join(intruder.engine.records()) == b""
    assert intruder.engine.closed


ANSWERS = {
    "two requests": (
        lambda _s: frame.encode(request.encode("responder", CONTEXT)) * 2,
        "out of turn",
    ),
    "request in the wrong role": (lambda _s: OWN, "message of type 17"),
    "BitTorrent": (lambda _s: APP, "1 to 16384"),
    "BitTorrent after the request": (
        lambda _s: frame.encode(request.encode("responder", CONTEXT)) + APP,
        "out of turn",
    ),
    "empty frame": (lambda _s: bytes(3), "1 to 16384"),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_impostor_s_first_flight_out_of_order_ends_the_connection(answer: str) -> None:
    make, why = ANSWERS[answer]
    initiator = dial_full()
    initiator.send(APP)
    impostor = Impostor(initiator)
    with pytest.raises(RemoteProtocolError, match=why):
        impostor.say(impostor.hello(FULL) + make(impostor))
    assert not initiator.ready


def ask(impostor: Impostor) -> tuple[bytes, bytes]:
    """Prove the secret and ask; return the initiator's request and authenticator, without their frames."""
    asked = frame.encode(request.encode("responder", CONTEXT))
    unread = bytearray(impostor.say(impostor.hello(FULL) + asked)[1])
    messages = frame.take(unread), frame.take(unread)
    assert messages[0] is not None
    assert messages[1] is not None
    return messages[0], messages[1]


@pytest.mark.parametrize("answer", ["reflected", "empty", "wrong role", "closed"])
def test_an_impostor_s_authenticator_is_refused(answer: str) -> None:
    initiator = dial_full()
    initiator.send(APP)
    impostor = Impostor(initiator)
    asked, proved = ask(impostor)
    keys = authenticator.export_keys(impostor.engine, "initiator")
    own = authenticator.build(keys, asked, asked[5:37], member(3).credential)
    mac = authenticator.finished_mac(keys, asked, authenticator.encode_certificate(asked[5:37], ()), b"")
    message = {"reflected": proved, "empty": b"\x14\0\0\x20" + mac, "wrong role": own, "closed": b""}[answer]
    with pytest.raises(RemoteProtocolError, match=r"empty|not of this connection|closed without"):
        if message:
            impostor.say(frame.encode(message))
        impostor.engine.shutdown()
        initiator.receive(impostor.engine.drain())
    assert not initiator.ready


def test_contexts_are_new_on_every_connection() -> None:
    contexts = set()
    for _ in range(3):
        _, asked = speak(answer_full())
        contexts.add(asked[5:37])
    assert len(contexts) == 3


def test_the_same_context_from_both_ends_is_refused_by_either() -> None:
    """Equal contexts come of equal entropy, or of a mirror."""
    intruder, _ = speak(answer_full())
    keys = {role: authenticator.export_keys(intruder.engine, role) for role in ("initiator", "responder")}
    for role in ("initiator", "responder"):
        exchange = Exchange(
            role,  # type: ignore[arg-type]
            keys,  # type: ignore[arg-type]
            INFOHASH,
            member(),
            entropy=seeded(1),
            now_s=lambda: NOW_S,
        )
        exchange.receive(b"")
        asker = "responder" if role == "initiator" else "initiator"
        with pytest.raises(RemoteProtocolError, match="same context"):
            exchange.receive(frame.encode(request.encode(asker, seeded(1)(32))))  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore")  # cryptography warns of some of what it still parses
@given(st.data())
@settings(deadline=None, max_examples=40)
def test_damage_at_any_byte_is_noticed(data: st.DataObject) -> None:
    responder = answer_full()
    intruder, asked = speak(responder)
    flight = bytearray(OWN + proof(intruder, asked, member(3, "ed25519").credential))
    # The initiator's own request is covered by what the responder answers, not by this.
    position = data.draw(st.integers(len(OWN), len(flight) - 1))
    flight[position] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(RemoteProtocolError):
        intruder.say(bytes(flight))
    assert not responder.ready


@given(st.binary(max_size=600))
@settings(deadline=None, max_examples=40)
def test_noise_after_the_hello_raises_the_declared_error_alone(noise: bytes) -> None:
    responder = answer_full()
    intruder, _ = speak(responder)
    with contextlib.suppress(RemoteProtocolError):
        intruder.say(noise + b"x")
    assert not responder.ready
