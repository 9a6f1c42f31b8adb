"""Level Full between members: what each end says when, and nothing of BitTorrent before both hold."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest

from btresearch.transport import LocalProtocolError, RemoteProtocolError
from btresearch.transport.btls import (
    Initiator,
    Keyring,
    Member,
    OpenSslClient,
    Responder,
    TorrentKey,
    frame,
    request,
)
from btresearch.transport.btls.engine import TlsEngine
from btresearch.transport.btls.exchange import Exchange
from btresearch.transport.btls.keys import Role
from tests.transport.btls.certificates import HOUR_S, URN, leaf
from tests.transport.btls.members import (
    AUTHORITY,
    FULL,
    SECRET,
    Impostor,
    Intruder,
    answer_full,
    dial_full,
    member,
)
from tests.transport.link import CHUNKINGS, Link, seeded
from tests.transport.pairs import CLIENTS, INFOHASH, NOW_S, browser, identity

HANDSHAKE = b"\x13BitTorrent protocol" + bytes(8) + INFOHASH + bytes(20)


@pytest.mark.parametrize("chunking", CHUNKINGS)
@pytest.mark.parametrize("client", CLIENTS)
def test_members_meet(client: str, chunking: str) -> None:
    link = Link(dial_full(client=CLIENTS[client]()), answer_full(), CHUNKINGS[chunking])
    initiator, responder = link.ends
    initiator.send(HANDSHAKE)
    responder.send(HANDSHAKE)
    link.start()
    assert link.apps == (HANDSHAKE, HANDSHAKE)
    for end in (initiator, responder):
        assert (end.ready, end.name, end.infohash) == (True, "btls_full", INFOHASH)


@pytest.mark.parametrize("responder_s", ["p256", "ed25519", "rsa"])
@pytest.mark.parametrize("initiator_s", ["p256", "ed25519", "rsa"])
def test_each_end_learns_who_the_other_is(initiator_s: str, responder_s: str) -> None:
    mine, theirs = member(1, initiator_s), member(2, responder_s)
    initiator, responder = dial_full(mine), answer_full(theirs)
    assert (initiator.peer_leaf, initiator.expires_s, responder.expires_s) == (None, None, None)
    Link(initiator, responder).start()
    assert initiator.peer_leaf is not None
    assert responder.peer_leaf is not None
    assert initiator.peer_leaf.spki_sha256 == theirs.credential.spki_sha256
    assert responder.peer_leaf.spki_sha256 == mine.credential.spki_sha256
    assert responder.peer_leaf.hashes == (INFOHASH,)
    assert initiator.expires_s == responder.expires_s == NOW_S + 4 * HOUR_S


SUITES = {
    b"TLS_AES_128_GCM_SHA256": "sha256",
    b"TLS_AES_256_GCM_SHA384": "sha384",
    b"TLS_CHACHA20_POLY1305_SHA256": "sha256",
}


def insisting(suite: bytes, own: Member | None = None) -> Responder:
    """A member's server that takes one cipher suite alone."""
    only = replace(identity())
    only.context.set_tls13_ciphersuites(suite)
    return Responder(
        Keyring([FULL]),
        only,
        entropy=os.urandom,
        now_s=lambda: NOW_S,
        member_of=lambda _key: own or member(2),
    )


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("client", CLIENTS)
def test_every_cipher_suite_and_both_hashes(client: str, suite: bytes) -> None:
    """utls has no exporter call: what it exports is computed here, from its key log."""
    initiator, responder = dial_full(client=CLIENTS[client]()), insisting(suite)
    algorithms = set[str]()
    exports = Exchange.of

    def noted(role: Role, engine: TlsEngine, *rest: Any, **options: Any) -> Exchange:
        algorithms.add(engine.algorithm)
        return exports(role, engine, *rest, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Exchange, "of", noted)
        Link(initiator, responder).start()
    assert (initiator.ready, responder.ready, algorithms) == (True, True, {SUITES[suite]})


def test_v2_and_hybrid_torrents() -> None:
    v2 = bytes(range(32))
    hybrid = AUTHORITY.member(leaf(4, names=[URN, f"urn:btmh:1220{v2.hex()}"]))
    keys = FULL, TorrentKey.derive(v2, "full", SECRET)
    for key in keys:
        link = Link(dial_full(hybrid, key=key), answer_full(hybrid, *keys)).start()
        assert (link.ends[0].ready, link.ends[1].infohash) == (True, key.infohash)


def test_v1_membership_does_not_open_the_v2_torrent() -> None:
    v2 = TorrentKey.derive(bytes(range(32)), "full", SECRET)
    with pytest.raises(RemoteProtocolError, match="another torrent"):
        Link(dial_full(key=v2), answer_full(None, v2)).start()


def test_each_level_of_one_keyring_takes_its_own_way() -> None:
    strict, basic = TorrentKey.derive(bytes(20), "strict", SECRET), TorrentKey.basic(bytes(32))
    for key in (strict, basic, FULL):
        link = Link(dial_full(key=key), answer_full(None, strict, basic, FULL)).start()
        assert (link.ends[0].ready, link.ends[1].name) == (True, f"btls_{key.level}")
        assert (link.ends[1].peer_leaf is not None) == (key is FULL)  # type: ignore[attr-defined]


def test_the_order_on_the_wire() -> None:
    """R: Hello, request. I: request, authenticator. R: authenticator, and BitTorrent at once."""
    responder = answer_full()
    responder.send(HANDSHAKE)
    intruder = Intruder(responder)
    _, first = intruder.say(intruder.hello(FULL))
    pad = int.from_bytes(first[49:51], "big")
    unread = bytearray(first[51 + pad :])
    asked = frame.take(unread)
    assert asked is not None
    assert (len(asked), asked[0], unread) == (51, 13, b"")
    assert (responder.ready, responder.verdict, responder.infohash) == (False, "pending", None)
    assert b"BitTorrent" not in first
    # A request alone, however long it stands, gets no answer.
    context = os.urandom(32)
    assert intruder.say(frame.encode(request.encode("initiator", context))) == (b"", b"")
    assert not responder.ready


def test_nothing_of_bittorrent_leaves_the_initiator_before_the_responder_is_a_member() -> None:
    initiator = dial_full()
    initiator.send(HANDSHAKE)
    impostor = Impostor(initiator)
    asked = frame.encode(request.encode("responder", bytes(32)))
    _, flight = impostor.say(impostor.hello(FULL) + asked)
    unread = bytearray(flight)
    messages = frame.take(unread), frame.take(unread)
    assert unread == b""
    assert [message[0] for message in messages if message] == [17, 11]
    assert not initiator.ready
    assert b"BitTorrent" not in flight


def test_full_without_a_membership_is_refused_here_and_a_decoy_there() -> None:
    with pytest.raises(LocalProtocolError, match="credential"):
        Initiator(FULL, client=browser())
    responder = answer_full(member_of=lambda _key: None)
    intruder = Intruder(responder)
    heard, _ = intruder.say(intruder.hello(FULL))
    assert (len(heard), responder.verdict) == (644, "decoy")


def test_a_responder_at_full_needs_a_clock() -> None:
    responder = Responder(Keyring([FULL]), identity(), entropy=seeded(1), member_of=lambda _key: member())
    intruder = Intruder(responder, OpenSslClient())
    with pytest.raises(LocalProtocolError, match="clock"):
        intruder.say(intruder.hello(FULL))


def test_the_exporter_secret_is_dropped_once_nobody_needs_it() -> None:
    initiator = dial_full()
    Link(initiator, answer_full()).start()
    with pytest.raises(LocalProtocolError, match="exporter secret"):
        initiator._engine.export(b"label", 32)


def test_bulk_arrives_whole() -> None:
    link, bulk = Link(dial_full(), answer_full()).start(), os.urandom(300_001)
    link.send(1, bulk)
    link.send(0, bulk)
    assert link.apps == (bulk, bulk)


def test_the_extra_flights_have_the_sizes_that_the_specification_says() -> None:
    """Ed25519, whose signatures all have 64 bytes; each number is one TLS record, its 22 bytes included."""
    initiator, responder = member(1, "ed25519"), member(2, "ed25519")
    link = Link(dial_full(initiator), insisting(b"TLS_AES_128_GCM_SHA256", responder)).start()
    request_bytes = 3 + 51
    sent, answered = (_records(bytes(wire)) for wire in link.wires)
    # Finished, Hello, request and authenticator.
    assert sent[1:] == [666, 22 + request_bytes + _authenticator_frame(initiator)]
    # Tickets come before them: Hello with its drawn pad and request; authenticator.
    assert 22 + 51 + 200 + request_bytes <= answered[-2] < 22 + 51 + 1200 + request_bytes
    assert answered[-1] == 22 + _authenticator_frame(responder)


def _authenticator_frame(own: Member) -> int:
    certificate = 4 + 33 + 3 + sum(3 + len(der) + 2 for der in own.credential.chain)
    return 3 + certificate + (4 + 2 + 2 + 64) + (4 + 32)


def _records(wire: bytes) -> list[int]:
    """Sizes of the application-data records."""
    found = []
    while wire:
        size = 5 + int.from_bytes(wire[3:5], "big")
        if wire[0] == 23:
            found.append(size)
        wire = wire[size:]
    return found
