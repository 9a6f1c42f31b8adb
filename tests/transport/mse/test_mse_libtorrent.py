"""MSE against libtorrent over loopback, both roles and both methods."""

from __future__ import annotations

import hashlib
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from btresearch.transport import MseInitiator, MseResponder, Transport

lt = pytest.importorskip("libtorrent", reason="pip install libtorrent")

pytestmark = [pytest.mark.interop, pytest.mark.filterwarnings("ignore")]

PAYLOAD = os.urandom(20_000)
LEVEL = {"plain": 1, "rc4": 2}
INFO = {
    b"name": b"payload",
    b"piece length": 16384,
    b"length": len(PAYLOAD),
    b"pieces": hashlib.sha1(PAYLOAD[:16384]).digest() + hashlib.sha1(PAYLOAD[16384:]).digest(),
}
INFOHASH = hashlib.sha1(lt.bencode(INFO)).digest()
HANDSHAKE = b"\x13BitTorrent protocol" + bytes(8) + INFOHASH + b"-BT0000-abcdefghijkl"


@pytest.fixture(params=["rc4", "plain"])
def method(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def seeding(method: str, tmp_path: Path) -> Iterator[Any]:
    (tmp_path / "payload").write_bytes(PAYLOAD)
    forced = int(lt.enc_policy.forced)
    session = lt.session(
        {
            "listen_interfaces": "127.0.0.1:0",
            "enable_dht": False,
            "enable_lsd": False,
            "enable_upnp": False,
            "enable_natpmp": False,
            "enable_outgoing_utp": False,
            "allow_multiple_connections_per_ip": True,
            "out_enc_policy": forced,
            "in_enc_policy": forced,
            "allowed_enc_level": LEVEL[method],
        }
    )
    parameters = lt.add_torrent_params()
    parameters.ti = lt.torrent_info(lt.bencode({b"info": INFO}))
    parameters.save_path = str(tmp_path)
    parameters.flags |= lt.torrent_flags.seed_mode
    parameters.flags &= ~(lt.torrent_flags.paused | lt.torrent_flags.auto_managed)
    torrent = session.add_torrent(parameters)
    until_s = time.monotonic() + 10
    while not (session.listen_port() and torrent.status().is_seeding):  # before that it hangs up on who dials
        assert time.monotonic() < until_s, "libtorrent does not seed"
        time.sleep(0.01)
    yield session, torrent
    session.pause()


def converse(end: Transport, link: socket.socket) -> bytes:
    """Exchange handshakes; return what libtorrent said."""
    link.settimeout(20)
    link.sendall(end.start())
    end.send(HANDSHAKE)
    heard = b""
    while len(heard) < len(HANDSHAKE):
        wire = link.recv(1 << 16)
        assert wire, "libtorrent hung up"
        app, reply = end.receive(wire)
        heard += app
        link.sendall(reply)
    return heard


def test_we_dial(seeding: Any, method: str) -> None:
    session, _ = seeding
    end = MseInitiator(INFOHASH, entropy=os.urandom)
    with socket.create_connection(("127.0.0.1", session.listen_port()), timeout=20) as link:
        heard = converse(end, link)
    assert heard[28:48] == INFOHASH
    assert end.method == method


def test_libtorrent_dials(seeding: Any, method: str) -> None:
    _, torrent = seeding
    end = MseResponder([INFOHASH], entropy=os.urandom)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        torrent.connect_peer(listener.getsockname())
        link, _ = listener.accept()
        with link:
            heard = converse(end, link)
    assert heard[28:48] == INFOHASH
    assert end.method == method
