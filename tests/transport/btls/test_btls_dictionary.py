"""What a dictionary of infohashes is good for: an external PSK falls to a recording, btls to an active middle only."""

from __future__ import annotations

import hashlib
import os
import socket

import pytest

from btresearch.transport import RemoteProtocolError
from btresearch.transport.btls import Keyring, TorrentKey, hello
from btresearch.transport.btls.engine import channel_secrets
from btresearch.transport.btls.keys import ChannelSecrets
from tests.transport.btls import independent
from tests.transport.btls.members import BASIC, FULL, SECRET, STRICT, Impostor, answer_full, dial_full
from tests.transport.link import Link
from tests.transport.pairs import INFOHASH

DICTIONARY = [hashlib.sha1(bytes([number])).digest() for number in range(50)] + [INFOHASH]
APP = b"\x13BitTorrent protocol and what follows"
LEVELS = {"basic": BASIC, "strict": STRICT, "full": FULL}


def expand_label(secret: bytes, label: bytes, context: bytes) -> bytes:
    """HKDF-Expand-Label to 32 bytes (RFC 8446 section 7.1)."""
    sized = independent.sized
    return independent.first_block(secret, b"\0\x20" + sized(b"tls13 " + label, 1) + sized(context, 1))


def binder(psk: bytes, client_hello: bytes) -> bytes:
    """What an observer computes from a guess and a recorded ClientHello (RFC 8446 section 4.2.11.2)."""
    early = independent.mac(bytes(32), psk)
    key = expand_label(early, b"ext binder", hashlib.sha256().digest())
    truncated = client_hello[: -(2 + 1 + 32)]
    return independent.mac(expand_label(key, b"finished", b""), hashlib.sha256(truncated).digest())


def recorded_psk_hello(psk: bytes) -> bytes:
    """The ClientHello of a stock TLS library that is given the infohash as external PSK."""
    tlslite = pytest.importorskip("tlslite.api", reason="pip install tlslite-ng")
    here, there = socket.socketpair()
    with here, there:
        here.setblocking(False)
        settings = tlslite.HandshakeSettings()
        settings.minVersion = settings.maxVersion = (3, 4)
        settings.pskConfigs = [(b"bittorrent", psk, "sha256")]
        next(tlslite.TLSConnection(here).handshakeClientCert(settings=settings, async_=True))
        return there.recv(1 << 16)[5:]


@pytest.mark.filterwarnings("ignore")
def test_an_infohash_as_external_psk_falls_to_a_passive_dictionary() -> None:
    """Why the specification has no PSK (G4): the binder in the clear is a test for every guess."""
    recorded = recorded_psk_hello(INFOHASH)
    found = [guess for guess in DICTIONARY if binder(guess, recorded) == recorded[-32:]]
    assert found == [INFOHASH]


@pytest.mark.parametrize("level", LEVELS)
def test_a_recording_of_btls_is_tls_records_and_nothing_else(level: str) -> None:
    """Both directions, to the last byte; and what the key yields stands nowhere in them."""
    link = Link(dial_full(key=LEVELS[level]), answer_full(None, LEVELS[level])).start()
    link.send(0, APP)
    link.send(1, APP * 1000)
    link.wires[0].extend(link.ends[0].close())
    for wire in map(bytes, link.wires):
        for secret in derived(LEVELS[level]):
            assert secret not in wire
        kinds = content_types(wire)
        # Handshake once in the clear, change_cipher_spec for middleboxes, all else encrypted.
        assert kinds[0] == 22
        assert set(kinds[1:]) <= {20, 23}
        assert kinds.count(20) <= 1


def content_types(wire: bytes) -> list[int]:
    found = []
    while wire:
        assert wire[1:3] in (b"\3\1", b"\3\3")
        size = int.from_bytes(wire[3:5], "big")
        assert len(wire) >= 5 + size
        found.append(wire[0])
        wire = wire[5 + size :]
    return found


def derived(key: TorrentKey) -> tuple[bytes, ...]:
    return key.infohash, key.infohash.hex().encode(), SECRET, key.SK, key.lid, key.discovery_id


@pytest.mark.parametrize("level", LEVELS)
def test_the_hello_in_the_clear_is_written_before_the_key_is_used(
    level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a passive observer has nothing that is a function of the infohash and not also of the TLS secrets."""

    def unexpected(*_: object) -> bytes:
        raise AssertionError

    initiator = dial_full(key=LEVELS[level])
    for name in ("tag", "proof"):
        monkeypatch.setattr(TorrentKey, name, unexpected)
    assert content_types(initiator.start()) == [22]


def test_the_same_key_never_says_the_same_twice() -> None:
    """tag and proof are functions of the connection: no two recordings, even decrypted, can be linked by them."""
    said = [Impostor(dial_full(key=BASIC)).heard for _ in range(2)]
    assert not {said[0][at : at + 16] for at in (0, 16, 32)} & {said[1][at : at + 16] for at in (0, 16, 32)}


def guesses(impostor: Impostor, dictionary: list[TorrentKey]) -> list[TorrentKey]:
    """What a fake responder, which terminates TLS, learns from an initiator's first record."""
    secrets = channel_secrets(impostor.engine)
    found = Keyring(dictionary).lookup(hello.tag_of(impostor.heard), secrets.K)
    return [found] if found is not None and hello.proves(impostor.heard, found, "initiator", secrets) else []


def test_a_fake_responder_with_a_dictionary_finds_a_basic_torrent() -> None:
    """As the table of adversaries says: at Basic the active middle with a dictionary learns it, and is in."""
    initiator = dial_full(key=BASIC)
    initiator.send(APP)
    impostor = Impostor(initiator)
    found = guesses(impostor, [TorrentKey.basic(infohash) for infohash in DICTIONARY])
    assert [key.infohash for key in found] == [INFOHASH]
    assert impostor.say(impostor.hello(found[0]))[1] == APP


def test_without_the_infohash_in_his_dictionary_he_learns_that_btls_is_spoken() -> None:
    impostor = Impostor(dial_full(key=BASIC))
    assert guesses(impostor, [TorrentKey.basic(infohash) for infohash in DICTIONARY[:-1]]) == []
    assert len(impostor.heard) == 644


@pytest.mark.parametrize("level", ["strict", "full"])
def test_at_strict_and_full_the_infohash_is_no_help(level: str) -> None:
    """Not as a Basic key, and not with any secret that he guesses."""
    initiator = dial_full(key=LEVELS[level])
    initiator.send(APP)
    impostor = Impostor(initiator)
    dictionary = [TorrentKey.basic(infohash) for infohash in DICTIONARY]
    dictionary += [
        TorrentKey.derive(INFOHASH, each, secret)
        for each in ("strict", "full")
        for secret in (bytes(32), INFOHASH + bytes(12), hashlib.sha256(INFOHASH).digest(), os.urandom(32))
    ]
    secrets = channel_secrets(impostor.engine)
    assert not any(hello.proves(impostor.heard, guess, "initiator", secrets) for guess in dictionary)
    with pytest.raises(RemoteProtocolError, match="did not prove"):
        impostor.say(impostor.hello(BASIC) + APP)


def test_a_weak_secret_would_be_found_by_an_active_middle() -> None:
    """The proofs are an offline oracle for who terminates TLS: hence 32 random bytes, or >= 80 bits and scrypt."""
    weak = TorrentKey.derive(INFOHASH, "strict", hashlib.sha256(b"hunter2").digest())
    impostor = Impostor(dial_full(key=weak))
    tried = [
        TorrentKey.derive(INFOHASH, "strict", hashlib.sha256(word).digest())
        for word in (b"123456", b"hunter2")
    ]
    assert guesses(impostor, tried) == [weak]


def test_the_discovery_id_is_a_test_for_a_secret_and_not_for_an_infohash() -> None:
    assert len(STRICT.discovery_id) == 20
    assert STRICT.discovery_id == independent.first_block(STRICT.SK, b"discovery")[:20]
    ids = {key.discovery_id for key in (BASIC, STRICT, FULL)}
    assert len(ids | {INFOHASH}) == 4


def test_exporters_of_two_connections_share_nothing() -> None:
    both = [channel_secrets(Impostor(dial_full(key=BASIC)).engine) for _ in range(2)]
    assert isinstance(both[0], ChannelSecrets)
    assert both[0].EKM != both[1].EKM
    assert both[0].K != both[1].K
