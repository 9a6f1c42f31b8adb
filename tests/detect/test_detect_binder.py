"""A recorded ClientHello with an external PSK falls to whoever has the infohash, and to nobody else."""

from __future__ import annotations

import hashlib
import hmac
import socket
import time

import pytest

from btresearch.detect.binder import PSKS, binders, crack
from btresearch.detect.infohash_scan import InfohashScan
from tests.detect.wire import flow, table

tlslite = pytest.importorskip("tlslite.api", reason="pip install tlslite-ng")
pytestmark = pytest.mark.filterwarnings("ignore")

V1, V2 = hashlib.sha1(b"torrent").digest(), hashlib.sha256(b"torrent").digest()
OTHERS = [hashlib.sha1(bytes([number])).digest() for number in range(50)]


def recorded(psk: bytes, hash_name: str = "sha256") -> bytes:
    """The ClientHello, without its record header, of a stock TLS library that is given this external PSK."""
    here, there = socket.socketpair()
    with here, there:
        here.setblocking(False)
        settings = tlslite.HandshakeSettings()
        settings.minVersion = settings.maxVersion = (3, 4)
        settings.pskConfigs = [(b"bittorrent", psk, hash_name)]
        next(tlslite.TLSConnection(here).handshakeClientCert(settings=settings, async_=True))
        return there.recv(1 << 16)[5:]


@pytest.mark.parametrize("variant", PSKS)
@pytest.mark.parametrize("infohash", [V1, V2])
@pytest.mark.parametrize("hash_name", ["sha256", "sha384"])
def test_the_dictionary_finds_the_infohash(variant, infohash, hash_name):
    hello = recorded(PSKS[variant](infohash), hash_name)
    assert crack(hello, [*OTHERS, infohash]) == (infohash, variant)
    assert crack(hello, OTHERS) is None


def test_the_variants_are_what_they_are_said_to_be():
    assert PSKS["raw"](V1) == V1
    assert PSKS["hmac"](V1) == hmac.new(V1, b"bt-tls13 psk v1", "sha256").digest()
    hkdf = pytest.importorskip("cryptography.hazmat.primitives.kdf.hkdf").HKDF
    hashes = pytest.importorskip("cryptography.hazmat.primitives.hashes")
    derived = hkdf(hashes.SHA256(), 32, None, b"bittorrent tls psk").derive(V2)
    assert PSKS["hkdf"](V2) == derived


def test_the_detector_names_the_flow_by_its_binder():
    hello = recorded(PSKS["hkdf"](V1))
    rows = table([flow(client_hello=hello, stream_head_c2s=hello)])
    knowing = InfohashScan(infohashes=frozenset([*OTHERS, V1]))
    answer = knowing(rows[list(knowing.sees)]).iloc[0]
    assert answer["verdict"] == "bittorrent"
    assert "PSK binder of the hello (hkdf)" in answer["why"]


@pytest.mark.parametrize("cut", [0, 4, 50, -1])
def test_what_is_no_hello_with_a_binder_has_none(cut):
    assert binders(recorded(V1)[:cut]) == []


def test_the_hello_is_bound_whole():
    hello = bytearray(recorded(V1))
    hello[10] ^= 1
    assert crack(bytes(hello), [V1]) is None


def test_a_guess_is_cheap():
    """The point of the attack: a crawl of ten million infohashes takes minutes on one core."""
    hello = recorded(V1)
    guesses = [hashlib.sha1(number.to_bytes(4, "big")).digest() for number in range(2000)]
    start_s = time.process_time()
    assert crack(hello, guesses) is None
    per_s = len(guesses) * len(PSKS) / (time.process_time() - start_s)
    assert per_s > 5000
