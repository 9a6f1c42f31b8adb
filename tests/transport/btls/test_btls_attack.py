"""Attacks on the proofs, at every level: by strangers, by those who know the infohash, by those with the secret."""

from __future__ import annotations

import itertools
import os
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

from btresearch.transport import RemoteProtocolError
from btresearch.transport.btls import Initiator, Keyring, Responder, TorrentKey, hello
from btresearch.transport.btls.engine import TlsEngine, channel_secrets
from btresearch.transport.btls.openssl import OpenSslEngine
from tests.transport.btls.members import (
    BASIC,
    FULL,
    STRICT,
    Impostor,
    Intruder,
    answer_full,
    dial_full,
    member,
)
from tests.transport.link import Link, seeded
from tests.transport.pairs import CLIENTS, INFOHASH, NOW_S, OTHER, identity

APP = b"\x13BitTorrent protocol and what follows"
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nServer: nginx\r\nContent-Length: 0\r\n\r\n"
LEVELS = {"basic": BASIC, "strict": STRICT, "full": FULL}
HELLO_BYTES = 644


@pytest.fixture(params=LEVELS)
def key(request: pytest.FixtureRequest) -> TorrentKey:
    return LEVELS[request.param]


# Somebody in the middle


def test_a_relay_without_the_key_meets_a_decoy_and_a_closed_door(key: TorrentKey) -> None:
    initiator, responder = dial_full(key=key), answer_full(None, key)
    initiator.send(APP)
    responder.send(APP)
    impostor, intruder = Impostor(initiator), Intruder(responder)
    heard, answer = intruder.say(impostor.heard)
    assert (heard, answer, responder.verdict) == (impostor.heard, b"", "decoy")
    intruder.engine.feed(responder.send(NOT_FOUND))
    with pytest.raises(RemoteProtocolError, match="did not prove"):
        impostor.say(b"".join(intruder.engine.records()))
    assert not initiator.ready


def test_a_proof_reflected_is_refused(key: TorrentKey) -> None:
    impostor = Impostor(dial_full(key=key))
    with pytest.raises(RemoteProtocolError, match="did not prove"):
        impostor.say(impostor.heard)


def test_roles_can_not_be_swapped(key: TorrentKey) -> None:
    responder = answer_full(None, key)
    intruder = Intruder(responder)
    wrong = hello.encode(key, "responder", channel_secrets(intruder.engine), 593)
    assert intruder.say(wrong) == (wrong, b"")
    assert responder.verdict == "decoy"
    impostor = Impostor(dial_full(key=key))
    with pytest.raises(RemoteProtocolError, match="did not prove"):
        impostor.say(hello.encode(key, "initiator", channel_secrets(impostor.engine), 0))


def test_a_recorded_hello_is_worth_nothing_on_another_connection(key: TorrentKey) -> None:
    recorded = Intruder(answer_full(None, key)).hello(key)
    responder = answer_full(None, key)
    assert Intruder(responder).say(recorded) == (recorded, b"")
    assert responder.verdict == "decoy"


@pytest.mark.parametrize("level", ["basic", "strict"])
def test_who_holds_the_key_is_a_full_middle_below_full(level: str) -> None:
    """As the table of adversaries says: the infohash in his dictionary at Basic, the secret at Strict."""
    held = LEVELS[level]
    to_victim = Link(dial_full(key=held), answer_full(None, held)).start()
    to_server = Link(dial_full(key=held), answer_full(None, held)).start()
    to_victim.send(0, APP)
    to_server.send(0, bytes(to_victim.apps[1]))
    assert to_server.apps[1] == APP


# Levels


CONFUSED = list(itertools.permutations(LEVELS, 2))


@pytest.mark.parametrize(("dialled", "served"), CONFUSED)
def test_a_key_of_another_level_meets_the_decoy(dialled: str, served: str) -> None:
    initiator, responder = dial_full(key=LEVELS[dialled]), answer_full(None, LEVELS[served])
    initiator.send(APP)
    responder.send(APP)
    link = Link(initiator, responder).start()
    assert (responder.verdict, len(link.apps[1])) == ("decoy", HELLO_BYTES)
    with pytest.raises(RemoteProtocolError, match="did not prove"):
        link.send(1, NOT_FOUND)
    assert (initiator.ready, bytes(link.apps[0])) == (False, b"")


@pytest.mark.parametrize(("dialled", "answered"), CONFUSED)
def test_a_proof_of_another_level_does_not_convince_the_initiator(dialled: str, answered: str) -> None:
    """A middle that holds every key but tries to answer on another level, say without certificates."""
    initiator = dial_full(key=LEVELS[dialled])
    impostor = Impostor(initiator)
    with pytest.raises(RemoteProtocolError, match="did not prove"):
        impostor.say(impostor.hello(LEVELS[answered]) + APP)


def test_an_answer_at_strict_s_shape_does_not_skip_full_s_exchange() -> None:
    initiator = dial_full()
    impostor = Impostor(initiator)
    with pytest.raises(RemoteProtocolError):
        impostor.say(impostor.hello(FULL) + APP)
    assert not initiator.ready


def test_another_secret_meets_the_decoy() -> None:
    guess = TorrentKey.derive(INFOHASH, "strict", os.urandom(32))
    responder = answer_full(None, STRICT)
    intruder = Intruder(responder)
    intruder.say(intruder.hello(guess))
    assert responder.verdict == "decoy"


@pytest.mark.parametrize("flags", [1, 0x80, 0xFF])
def test_flags_change_nothing(key: TorrentKey, flags: int) -> None:
    """They are not under the proof, and a middle without the key can't reach them; with it, they mean nothing."""
    responders = answer_full(None, key), answer_full(None, key)
    plain, flagged = Intruder(responders[0]), Intruder(responders[1])
    changed = bytearray(flagged.hello(key))
    changed[48] = flags
    answers = plain.say(plain.hello(key))[1], flagged.say(bytes(changed))[1]
    assert all(len(answer) > 250 for answer in answers)
    assert len({(each.verdict, each.ready, each.name) for each in responders}) == 1
    initiator = dial_full(key=key)
    impostor = Impostor(initiator)
    answer = bytearray(impostor.hello(key))
    answer[48] = flags
    assert impostor.say(bytes(answer)) == (b"", b"")
    assert initiator.ready is (key is not FULL)


# TLS in every form


def connect_hello_retry(client: str, key: TorrentKey) -> Link:
    """The server takes P-384 alone, of which no client sends a share unasked."""
    shy = replace(identity())
    shy.context.set_tmp_ecdh(ec.SECP384R1())
    responder = Responder(
        Keyring([key]), shy, entropy=os.urandom, now_s=lambda: NOW_S, member_of=lambda _key: member(2)
    )
    return Link(dial_full(key=key, client=CLIENTS[client]()), responder).start()


@pytest.mark.parametrize("client", CLIENTS)
def test_hello_retry_request(client: str, key: TorrentKey) -> None:
    link = connect_hello_retry(client, key)
    assert client_hellos(bytes(link.wires[0])) == 2
    link.send(0, APP)
    assert link.apps[1] == APP


def client_hellos(wire: bytes) -> int:
    count = 0
    while wire:
        count += wire[0] == 22 and wire[5] == 1
        wire = wire[5 + int.from_bytes(wire[3:5], "big") :]
    return count


@pytest.mark.parametrize(
    ("suite", "algorithm"),
    [
        (b"TLS_AES_256_GCM_SHA384", "sha384"),
        (b"TLS_AES_128_GCM_SHA256", "sha256"),
        (b"TLS_CHACHA20_POLY1305_SHA256", "sha256"),
    ],
)
def test_every_cipher_suite(suite: bytes, algorithm: str, key: TorrentKey) -> None:
    responder = answer_full(None, key)
    initiator = dial_full(key=key, client=lambda _sni: tls13_engine(suite))
    link = Link(initiator, responder).start()
    assert responder._engine.algorithm == algorithm
    link.send(1, APP)
    assert link.apps[0] == APP


def tls13_engine(suite: bytes) -> OpenSslEngine:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_tls13_ciphersuites(suite)
    connection = SSL.Connection(context, None)
    connection.set_connect_state()
    return OpenSslEngine(connection)


def resumed(responder: Responder) -> tuple[Intruder, bytes]:
    """A client that resumes what an earlier connection to the same server left; and that one's Hello."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    first, again = SSL.Connection(context, None), SSL.Connection(context, None)
    first.set_connect_state()
    earlier = Intruder(answer_full(None, STRICT), lambda _sni: OpenSslEngine(first))
    recorded = earlier.hello(STRICT)
    earlier.say(b"GET / HTTP/1.1\r\n\r\n")  # so that the ticket is read
    session = first.get_session()
    assert session is not None
    again.set_session(session)
    again.set_connect_state()
    intruder = Intruder(responder, lambda _sni: OpenSslEngine(again))
    assert SSL._lib.SSL_session_reused(again._ssl) == 1
    return intruder, recorded


def test_a_resumed_connection_has_an_exporter_of_its_own(key: TorrentKey) -> None:
    responder = answer_full(None, key)
    intruder, _ = resumed(responder)
    intruder.say(intruder.hello(key))
    assert responder.verdict == ("pending" if key is FULL else "proven")


def test_a_proof_does_not_outlive_its_connection_by_resumption() -> None:
    responder = answer_full(None, STRICT)
    intruder, recorded = resumed(responder)
    assert intruder.say(recorded) == (recorded, b"")
    assert responder.verdict == "decoy"


def test_the_initiator_never_resumes(key: TorrentKey) -> None:
    """pre_shared_key (41) is in none of its hellos, though the server gave it tickets."""
    for _ in range(2):
        link = Link(dial_full(key=key), answer_full(None, key)).start()
        assert 41 not in extensions(bytes(link.wires[0]))


def extensions(client_hello: bytes) -> set[int]:
    at = 5 + 4 + 2 + 32
    at += 1 + client_hello[at]
    at += 2 + int.from_bytes(client_hello[at : at + 2], "big")
    at += 1 + client_hello[at]
    rest, found = client_hello[at + 2 : at + 2 + int.from_bytes(client_hello[at : at + 2], "big")], set()
    while rest:
        found.add(int.from_bytes(rest[:2], "big"))
        rest = rest[4 + int.from_bytes(rest[2:4], "big") :]
    return found


def test_tls_1_2_at_either_end_proves_nothing(key: TorrentKey) -> None:
    responder = answer_full(None, key)
    intruder = Intruder(responder, lambda _sni: tls12_engine())
    assert responder.verdict == "decoy"
    # The exporter exists in TLS 1.2 too, where it need not bind the handshake.
    valid = intruder.hello(key)
    assert intruder.say(valid) == (valid, b"")
    old = replace(identity())
    old.context.set_max_proto_version(SSL.TLS1_2_VERSION)
    initiator = dial_full(key=key)
    with pytest.raises(RemoteProtocolError, match=r"TLS 1\.2"):
        Link(initiator, Responder(Keyring([key]), old, entropy=seeded(1))).start()


def tls12_engine() -> TlsEngine:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_max_proto_version(SSL.TLS1_2_VERSION)
    connection = SSL.Connection(context, None)
    connection.set_connect_state()
    return OpenSslEngine(connection)


# The Hello's length and records


@pytest.mark.parametrize("length", [1, 15, 16, 34, 48, 50, 51, 52, 100, 643, 644, 645, 16383, 16384])
def test_a_stranger_s_first_record_of_any_length_is_the_decoy_s(length: int) -> None:
    responder, first = answer_full(None, BASIC), os.urandom(length)
    assert Intruder(responder).say(first) == (first, b"")
    assert responder.verdict == "decoy"


@pytest.mark.parametrize("length", [16, 48, 50])
def test_a_right_hello_cut_short_is_the_decoy_s(length: int, key: TorrentKey) -> None:
    responder = answer_full(None, key)
    intruder = Intruder(responder)
    cut = intruder.hello(key, 0)[:length]
    assert intruder.say(cut) == (cut, b"")
    assert responder.verdict == "decoy"


@pytest.mark.parametrize("pad_bytes", [0, 1, 592, 593, 594, 16384 - 51 - 1, 16384 - 51])
def test_every_pad_that_fits_its_record_is_taken(pad_bytes: int, key: TorrentKey) -> None:
    responder = answer_full(None, key)
    intruder = Intruder(responder)
    assert intruder.say(intruder.hello(key, pad_bytes))[0] == b""
    assert responder.verdict != "decoy"


@pytest.mark.parametrize("said", [0, 2, 50, 16384 - 51, 16384 - 50, 0xFFFF])
def test_a_pad_that_is_not_the_record_s_rest_ends_the_connection(said: int, key: TorrentKey) -> None:
    responder = answer_full(None, key)
    intruder = Intruder(responder)
    wrong = bytearray(intruder.hello(key, 1))
    wrong[49:51] = said.to_bytes(2, "big")
    with pytest.raises(RemoteProtocolError, match="exactly one record"):
        intruder.say(bytes(wrong))
    assert not responder.ready


@pytest.mark.parametrize("pad_bytes", [0, 1, 1199, 16384 - 51, 16384 - 50, 0xFFFF])
def test_the_initiator_takes_a_pad_of_one_record_at_most(pad_bytes: int, key: TorrentKey) -> None:
    initiator = dial_full(key=key)
    impostor = Impostor(initiator)
    answer = impostor.hello(key)[:49] + pad_bytes.to_bytes(2, "big")
    if pad_bytes > 16384 - 51:
        with pytest.raises(RemoteProtocolError, match="at most 16384") as refused:
            impostor.say(answer)
        assert refused.value.goodbye[:1] == b"\x17"
        return
    impostor.say(answer + bytes(pad_bytes)[:-1])
    assert initiator.ready is (key is not FULL and pad_bytes == 0)
    if pad_bytes:
        assert impostor.say(b"\1" + (APP if key is not FULL else b""))[0] == (APP if key is not FULL else b"")
    assert initiator.ready is (key is not FULL)


@pytest.mark.parametrize("cut", [1, 15, 16, 47, 48, 50, 51, 52, 643])
@pytest.mark.parametrize("together", [True, False])
def test_a_right_hello_in_several_records_is_the_decoy_s(cut: int, together: bool, key: TorrentKey) -> None:
    """One record decides. Past 51 bytes the first holds tag and proof, and says that more should follow."""
    responder = answer_full(None, key)
    intruder = Intruder(responder)
    valid, heard = intruder.hello(key), b""
    try:
        if together:
            intruder.engine.write(valid[:cut])
            heard = intruder.say(valid[cut:])[0]
        else:
            heard = intruder.say(valid[:cut])[0] + intruder.say(valid[cut:])[0]
    except RemoteProtocolError as error:
        assert cut >= 51
        assert "exactly one record" in error.reason
    else:
        assert (heard, responder.verdict) == (valid, "decoy")
    assert not responder.ready


# The lookup's cost does not tell what was asked


class Counting(Keyring):
    """How often it was searched."""

    searched = 0

    def lookup(self, tag: bytes, K: bytes) -> TorrentKey | None:
        assert (len(tag), len(K)) == (16, 16)
        self.searched += 1
        return super().lookup(tag, K)


FIRST_RECORDS = {
    "one byte": b"x",
    "34 bytes": bytes(34),
    "50 bytes": bytes(50),
    "51 bytes": bytes(51),
    "HTTP": b"GET / HTTP/1.1\r\nHost: " + b"x" * 100,
    "short HTTP": b"GET / HTTP/1.0\r\n\r\n",
    "full record": bytes(16384),
    "miss": os.urandom(HELLO_BYTES),
}


@pytest.mark.parametrize("deferred", [False, True])
@pytest.mark.parametrize("first", FIRST_RECORDS)
def test_whatever_comes_first_costs_one_lookup(first: str, deferred: bool) -> None:
    keyring = Counting([BASIC])
    responder = Responder(keyring, identity(), entropy=os.urandom, deferred_lookup=deferred)
    intruder = Intruder(responder)
    heard, _ = intruder.say(FIRST_RECORDS[first])
    if deferred:
        assert (heard, keyring.searched, responder.verdict) == (b"", 0, "pending")
        assert responder.query is not None
        heard, _ = responder.resolve(responder.search(responder.query))
    assert (heard, keyring.searched, responder.verdict) == (FIRST_RECORDS[first], 1, "decoy")


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"POST", b"PUT", b"OPTIONS", b"PRI"])
def test_a_request_is_no_hello_because_it_holds_no_proof(method: bytes) -> None:
    """Even if its first bytes were a tag that is served: no rule about HTTP is needed."""

    class Always(Keyring):
        def lookup(self, tag: bytes, K: bytes) -> TorrentKey | None:
            return BASIC

    responder = Responder(Always([OTHER]), identity(), entropy=os.urandom)
    asked = method + b" / HTTP/1.1\r\nHost: " + b"x" * 64
    assert Intruder(responder).say(asked) == (asked, b"")
    assert responder.verdict == "decoy"


def test_past_the_rate_limit_nothing_is_looked_up() -> None:
    keyring = Counting([BASIC])
    responder = Responder(keyring, identity(), entropy=os.urandom, admit=lambda: False)
    intruder = Intruder(responder)
    intruder.say(intruder.hello(BASIC))
    assert (keyring.searched, responder.verdict) == (0, "decoy")


def test_connected_to_self_is_noticed_at_full(key: TorrentKey) -> None:
    own: set[bytes] = set()
    initiator = Initiator(
        key, client=CLIENTS["utls"](), own_ekms=own, member=member(1), entropy=os.urandom, now_s=lambda: NOW_S
    )
    responder = Responder(
        Keyring([key]),
        identity(),
        entropy=os.urandom,
        own_ekms=own,
        now_s=lambda: NOW_S,
        member_of=lambda _key: member(1),
    )
    with pytest.raises(RemoteProtocolError, match="self"):
        Link(initiator, responder).start()


# One wire image


def test_strict_can_not_be_told_from_basic_by_its_records() -> None:
    """Same entropy, same application bytes: the same sequence of record lengths, both ways."""
    sequences = []
    for key in (BASIC, STRICT):
        responder = Responder(Keyring([key]), identity(), entropy=seeded(3))
        link = Link(dial_full(key=key), responder).start()
        for end, size in ((0, 68), (1, 68), (0, 300), (1, 40_000)):
            link.send(end, bytes(size))
        sent, answered = (application_records(bytes(wire)) for wire in link.wires)
        # The server's first three are EncryptedExtensions, Certificate and a signature of 70 to 72 bytes.
        sequences.append((sent, answered[3:]))
    assert sequences[0] == sequences[1]


def application_records(wire: bytes) -> list[int]:
    """Lengths of the encrypted records."""
    found = []
    while wire:
        size = 5 + int.from_bytes(wire[3:5], "big")
        if wire[0] == 23:
            found.append(size)
        wire = wire[size:]
    return found
