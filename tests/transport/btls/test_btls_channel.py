"""Initiator against responder, against strangers, and against somebody in the middle."""

from __future__ import annotations

import os

import pytest
from OpenSSL import SSL

from btresearch.transport import LocalProtocolError, RemoteProtocolError
from btresearch.transport.btls import (
    ConnectedToSelf,
    Initiator,
    Keyring,
    OpenSslClient,
    Responder,
    TorrentKey,
    hello,
)
from btresearch.transport.btls.engine import TlsEngine, channel_secrets
from btresearch.transport.btls.keys import ChannelSecrets
from btresearch.transport.btls.openssl import OpenSslEngine
from btresearch.transport.btls.responder import MAX_LOOKUP_BACKLOG_BYTES
from btresearch.transport.btls.server_openssl import accept
from tests.transport.link import Link, seeded
from tests.transport.pairs import CLIENTS, INFOHASH, NOW_S, OTHER, answer, browser, dial, identity

HANDSHAKE = b"\x13BitTorrent protocol" + bytes(8) + INFOHASH + bytes(20)
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nServer: nginx\r\nContent-Length: 0\r\n\r\n"
HELLO_BYTES = 644


def connect(engine: TlsEngine, responder: Responder) -> None:
    """Shake hands; what the responder still has to say (tickets) is fed too."""
    done = False
    for _ in range(4):
        done = done or engine.handshake()
        wire = engine.drain()
        if wire:
            engine.feed(responder.receive(wire)[1])
    assert done


def ask(engine: TlsEngine, responder: Responder, app: bytes) -> tuple[bytes, bytes]:
    """Send one write over an engine of our own; return what responder and client got."""
    engine.write(app)
    got, reply = responder.receive(engine.drain())
    engine.feed(reply + responder.flush())
    return got, b"".join(engine.records())


def records(wire: bytes) -> list[tuple[int, int]]:
    found = []
    while wire:
        length = int.from_bytes(wire[3:5], "big")
        found.append((wire[0], 5 + length))
        wire = wire[5 + length :]
    return found


@pytest.mark.parametrize("client", CLIENTS)
def test_members_meet(client: str) -> None:
    link = Link(dial(client=client), answer(OTHER, INFOHASH)).start()
    initiator, responder = link.ends
    assert isinstance(responder, Responder)
    assert (initiator.ready, responder.ready, responder.verdict) == (True, True, "proven")
    assert responder.infohash == INFOHASH
    link.send(0, HANDSHAKE)
    link.send(1, HANDSHAKE)
    assert link.apps == (HANDSHAKE, HANDSHAKE)


def test_v2_infohashes_work_too() -> None:
    link = Link(dial(bytes(range(32))), answer(INFOHASH, bytes(range(32)))).start()
    assert link.ends[1].infohash == bytes(range(32))


def test_the_fallback_says_so() -> None:
    assert dial(client="openssl").fallback
    assert not dial(client="utls").fallback


@pytest.mark.parametrize("client", CLIENTS)
def test_the_first_record_is_a_browser_s_first_request(client: str) -> None:
    link = Link(dial(client=client), answer(OTHER))
    with pytest.raises(RemoteProtocolError):
        link.start()
        link.send(1, NOT_FOUND)
    application = [size for kind, size in records(bytes(link.wires[0])) if kind == 23]
    # The first one is Finished, under handshake keys.
    assert application[1:] == [666]


@pytest.mark.parametrize("client", CLIENTS)
def test_a_wrong_infohash_meets_the_decoy_and_no_bittorrent_byte_leaks(client: str) -> None:
    link = Link(dial(OTHER, client=client), answer(INFOHASH))
    initiator, responder = link.ends
    initiator.send(HANDSHAKE)
    responder.send(HANDSHAKE)
    link.start()
    assert isinstance(responder, Responder)
    assert (responder.verdict, responder.ready, responder.infohash) == ("decoy", False, None)
    assert len(link.apps[1]) == HELLO_BYTES
    assert responder.flush() == b""
    with pytest.raises(RemoteProtocolError, match="did not prove") as refused:
        link.send(1, NOT_FOUND)
    assert link.apps[0] == b""
    assert not initiator.ready
    # What the initiator says last is close_notify, as a browser would, and the queue stays where it is.
    assert [kind for kind, _ in records(refused.value.goodbye)] == [23]
    assert initiator.close() == b""
    rest, _ = responder.receive(refused.value.goodbye)
    assert rest == b""
    assert responder.closed
    assert b"BitTorrent" not in link.apps[1]
    assert INFOHASH not in link.apps[1] + link.apps[0]


def test_a_decoy_verdict_is_irrevocable() -> None:
    responder, engine = answer(), CLIENTS["openssl"]()(None)
    connect(engine, responder)
    assert ask(engine, responder, b"GET / HTTP/1.1\r\n\r\n")[0] == b"GET / HTTP/1.1\r\n\r\n"
    valid = hello.encode(TorrentKey.basic(INFOHASH), "initiator", channel_secrets(engine), 593)
    assert ask(engine, responder, valid)[0] == valid
    assert responder.verdict == "decoy"
    engine.feed(responder.send(NOT_FOUND))
    assert b"".join(engine.records()) == NOT_FOUND


def member_hello(engine: TlsEngine, pad: int = 593) -> bytes:
    return hello.encode(TorrentKey.basic(INFOHASH), "initiator", channel_secrets(engine), pad)


@pytest.mark.parametrize("pad", [0, 1, 593, 16384 - 51])
def test_any_pad_that_fits_a_record_is_accepted(pad: int) -> None:
    responder, engine = answer(), CLIENTS["openssl"]()(None)
    connect(engine, responder)
    got, reply = ask(engine, responder, member_hello(engine, pad))
    assert (got, responder.verdict) == (b"", "proven")
    assert hello.proves(reply, TorrentKey.basic(INFOHASH), "responder", channel_secrets(engine))


PROBES = {
    "http": b"GET / HTTP/1.1\r\nHost: " + b"x" * 100,
    "preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(60),
    "one byte": b"x",
    "50 bytes": bytes(50),
    "51 bytes": bytes(51),
    "bittorrent": HANDSHAKE,
    "random": os.urandom(644),
}


@pytest.mark.parametrize("probe", PROBES)
@pytest.mark.parametrize("client", CLIENTS)
def test_strangers_get_the_decoy_at_once(probe: str, client: str) -> None:
    responder, engine = answer(), CLIENTS[client]()(None)
    responder.send(HANDSHAKE)
    connect(engine, responder)
    got, reply = ask(engine, responder, PROBES[probe])
    assert (got, responder.verdict, reply) == (PROBES[probe], "decoy", b"")


def test_a_hello_in_two_records_is_a_stranger_s() -> None:
    responder, engine = answer(), CLIENTS["openssl"]()(None)
    connect(engine, responder)
    valid = member_hello(engine)
    engine.write(valid[:40])
    engine.write(valid[40:])
    got, _ = responder.receive(engine.drain())
    assert (got, responder.verdict) == (valid, "decoy")


def test_the_decision_is_the_first_record_s_even_when_more_arrive_with_it() -> None:
    responder, engine = answer(), CLIENTS["openssl"]()(None)
    connect(engine, responder)
    engine.write(member_hello(engine))
    engine.write(b"second record")
    assert responder.receive(engine.drain())[0] == b"second record"
    assert responder.verdict == "proven"


@pytest.mark.parametrize("damage", ["trailing byte", "pad too long"])
def test_a_proven_hello_must_be_exactly_its_record(damage: str) -> None:
    responder, engine = answer(), CLIENTS["openssl"]()(None)
    connect(engine, responder)
    valid = bytearray(member_hello(engine))
    if damage == "trailing byte":
        valid += b"x"
    else:
        valid[49:51] = b"\xff\xff"
    with pytest.raises(RemoteProtocolError, match="btls"):
        ask(engine, responder, bytes(valid))
    assert not responder.ready


@pytest.mark.parametrize("position", [0, 15, 16, 47])
def test_one_wrong_bit_in_tag_or_proof_is_a_miss(position: int) -> None:
    responder, engine = answer(), CLIENTS["openssl"]()(None)
    connect(engine, responder)
    forged = bytearray(member_hello(engine))
    forged[position] ^= 1
    assert ask(engine, responder, bytes(forged))[0] == forged
    assert responder.verdict == "decoy"


def test_a_hello_replayed_on_another_connection_fails() -> None:
    first, second = CLIENTS["openssl"]()(None), CLIENTS["openssl"]()(None)
    responders = answer(), answer()
    connect(first, responders[0])
    connect(second, responders[1])
    recorded = member_hello(first)
    ask(first, responders[0], recorded)
    ask(second, responders[1], recorded)
    assert [responder.verdict for responder in responders] == ["proven", "decoy"]


def test_the_initiator_s_own_proof_reflected_is_refused() -> None:
    initiator, mirror = dial(), accept(identity().context)
    mirror.feed(initiator.start())
    for _ in range(2):
        mirror.handshake()
        wire = initiator.receive(mirror.drain())[1]
        mirror.feed(wire)
    mirror.handshake()
    mirror.write(b"".join(mirror.records()))
    with pytest.raises(RemoteProtocolError, match="did not prove"):
        initiator.receive(mirror.drain())


def test_a_tls_terminating_relay_is_refused_at_both_ends() -> None:
    initiator, responder = dial(), answer()
    initiator.send(HANDSHAKE)
    responder.send(HANDSHAKE)
    inner, outer = accept(identity().context), CLIENTS["utls"]()(None)
    connect(outer, responder)
    wire = initiator.start()
    for _ in range(3):
        inner.feed(wire)
        inner.handshake()
        _, wire = initiator.receive(inner.drain())
    inner.feed(wire)
    inner.handshake()
    relayed = b"".join(inner.records())
    assert len(relayed) == HELLO_BYTES
    seen, _ = ask(outer, responder, relayed)
    assert (seen, responder.verdict) == (relayed, "decoy")
    outer.feed(responder.send(NOT_FOUND))
    inner.write(b"".join(outer.records()))
    with pytest.raises(RemoteProtocolError, match="did not prove"):
        initiator.receive(inner.drain())
    assert b"BitTorrent" not in relayed


def tls12_engine() -> OpenSslEngine:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_max_proto_version(SSL.TLS1_2_VERSION)
    connection = SSL.Connection(context, None)
    connection.set_connect_state()
    return OpenSslEngine(connection)


def test_tls_1_2_gets_the_decoy_whatever_it_says() -> None:
    responder, engine = answer(), tls12_engine()
    connect(engine, responder)
    assert responder.verdict == "decoy"
    forged = hello.encode(TorrentKey.basic(INFOHASH), "initiator", ChannelSecrets(bytes(32), bytes(16)), 593)
    assert ask(engine, responder, forged)[0] == forged


def test_the_initiator_leaves_a_server_that_negotiates_tls_1_2() -> None:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_max_proto_version(SSL.TLS1_2_VERSION)
    context.use_certificate(identity().leaf)
    context.use_privatekey(identity().key)
    initiator, server = dial(), accept(context)
    wire = initiator.start()
    with pytest.raises(RemoteProtocolError, match=r"TLS 1\.2"):
        for _ in range(4):
            server.feed(wire)
            server.handshake()
            _, wire = initiator.receive(server.drain())
    with pytest.raises(LocalProtocolError):
        initiator.send(b"x")


def test_a_server_that_closes_without_a_word() -> None:
    initiator, server = dial(), accept(identity().context)
    wire = initiator.start()
    for _ in range(2):
        server.feed(wire)
        server.handshake()
        _, wire = initiator.receive(server.drain())
    server.shutdown()
    with pytest.raises(RemoteProtocolError, match="closed without"):
        initiator.receive(server.drain())


def test_connected_to_self_is_noticed() -> None:
    own: set[bytes] = set()
    initiator = Initiator(TorrentKey.basic(INFOHASH), client=browser(), own_ekms=own)
    responder = Responder(Keyring([INFOHASH]), identity(), entropy=seeded(1), own_ekms=own)
    with pytest.raises(ConnectedToSelf):
        Link(initiator, responder).start()
    assert len(own) == 1
    initiator.close()
    assert not own


def test_own_exporters_are_forgotten_once_proven() -> None:
    own: set[bytes] = set()
    initiator = Initiator(TorrentKey.basic(INFOHASH), client=browser(), own_ekms=own)
    Link(initiator, answer()).start()
    assert initiator.ready
    assert not own


def test_a_deferred_lookup_holds_everything_back_until_it_is_resolved() -> None:
    keyring = Keyring([INFOHASH])
    responder = Responder(keyring, identity(), entropy=seeded(1), deferred_lookup=True)
    engine = CLIENTS["openssl"]()(None)
    connect(engine, responder)
    engine.write(member_hello(engine))
    engine.write(b"later")
    assert responder.receive(engine.drain())[0] == b""
    assert responder.verdict == "pending"
    assert responder.query is not None
    app, _ = responder.resolve(keyring.lookup(responder.query.tag, responder.query.K))
    assert (app, responder.verdict) == (b"later", "proven")
    with pytest.raises(LocalProtocolError):
        responder.resolve(None)


def test_the_backlog_of_a_deferred_lookup_is_bounded() -> None:
    responder = Responder(Keyring([INFOHASH]), identity(), entropy=seeded(1), deferred_lookup=True)
    engine = CLIENTS["openssl"]()(None)
    connect(engine, responder)
    engine.write(member_hello(engine))
    responder.receive(engine.drain())
    engine.write(bytes(MAX_LOOKUP_BACKLOG_BYTES))
    with pytest.raises(RemoteProtocolError, match="lookup"):
        responder.receive(engine.drain())


def test_bulk_larger_than_any_read_arrives_whole() -> None:
    link, bulk = Link(dial(), answer()).start(), os.urandom(1_000_003)
    link.send(1, bulk)
    link.send(0, bulk)
    assert link.apps == (bulk, bulk)


def test_past_the_rate_limit_even_members_meet_the_decoy() -> None:
    responder = Responder(Keyring([INFOHASH]), identity(), entropy=seeded(1), admit=lambda: False)
    engine = CLIENTS["openssl"]()(None)
    connect(engine, responder)
    valid = member_hello(engine)
    assert ask(engine, responder, valid)[0] == valid
    assert responder.verdict == "decoy"


def test_garbage_for_a_client_hello_is_answered_by_an_alert() -> None:
    with pytest.raises(RemoteProtocolError) as refused:
        answer().receive(b"\x16\x03\x01\x00\x05\x01" + bytes(40))
    assert refused.value.goodbye[:1] == b"\x15"


def test_close_says_close_notify_after_what_was_held() -> None:
    link = Link(dial(), answer()).start()
    link.ends[0].send(b"last words")
    app, _ = link.ends[1].receive(link.ends[0].close())
    assert app == b"last words"
    assert isinstance(link.ends[1], Responder)
    assert link.ends[1].closed


@pytest.mark.parametrize(
    ("offered", "selected"), [([b"h2", b"http/1.1"], b"http/1.1"), ([b"http/1.0"], b"http/1.0"), ([], b"")]
)
def test_alpn_is_http_1_1_if_offered_and_never_h2(offered: list[bytes], selected: bytes) -> None:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    if offered:
        context.set_alpn_protos(offered)
    connection = SSL.Connection(context, None)
    connection.set_connect_state()
    connect(OpenSslEngine(connection), answer())
    assert connection.get_alpn_proto_negotiated() == selected


@pytest.mark.parametrize("offered", [[b"h2"], [b"bittorrent"]])
def test_alpn_without_http_1_is_refused_as_nginx_does(offered: list[bytes]) -> None:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_alpn_protos(offered)
    connection = SSL.Connection(context, None)
    connection.set_connect_state()
    client = OpenSslEngine(connection)
    assert not client.handshake()
    with pytest.raises(RemoteProtocolError) as caught:
        answer().receive(client.drain())
    assert caught.value.goodbye[-2:] == bytes([2, 120])


def test_the_identity_is_two_certificates_of_ordinary_size() -> None:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding

    from btresearch.transport.btls import ServerIdentity
    from btresearch.transport.btls.identity import CHAIN_BYTES

    made = identity()
    size = sum(len(certificate.public_bytes(Encoding.DER)) for certificate in (made.leaf, made.issuer))
    assert CHAIN_BYTES[0] <= size <= CHAIN_BYTES[1] + 40
    assert isinstance(made.leaf.public_key(), ec.EllipticCurvePublicKey)
    made.leaf.verify_directly_issued_by(made.issuer)
    assert made.leaf.not_valid_before_utc.timestamp() < NOW_S < made.leaf.not_valid_after_utc.timestamp()
    again = ServerIdentity.from_pem(made.pem())
    assert (again.leaf, again.issuer) == (made.leaf, made.issuer)
    with pytest.raises(LocalProtocolError, match="damaged"):
        ServerIdentity.from_pem(b"not a pem")


def test_the_server_asks_for_no_certificate() -> None:
    states: list[bytes] = []
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_info_callback(lambda connection, _where, _code: states.append(connection.get_state_string()))
    connection = SSL.Connection(context, None)
    connection.set_connect_state()
    connect(OpenSslEngine(connection), answer())
    assert b"SSLv3/TLS read server certificate" in states
    assert not [state for state in states if b"certificate request" in state]


def test_the_fallback_sends_the_name_that_it_is_given() -> None:
    engine = OpenSslClient()("example.org")
    engine.handshake()
    assert b"example.org" in engine.drain()
