"""tlslite-ng, an independent TLS stack, against the responder."""

from __future__ import annotations

import socket
import threading

import pytest

from btresearch.transport.btls import Responder, TorrentKey, hello
from btresearch.transport.btls.keys import EXPORTER_LABEL, LOOKUP_LABEL, ChannelSecrets
from tests.transport.pairs import INFOHASH, answer

pytestmark = pytest.mark.filterwarnings("ignore")
tlslite = pytest.importorskip("tlslite.api", reason="pip install tlslite-ng")

ANSWER = b"HTTP/1.1 404 Not Found\r\n\r\n"


def serve(responder: Responder, end: socket.socket, seen: bytearray) -> None:
    """Answer like a decoy, or like a peer that says `hello`, until the other end hangs up."""
    with end:
        while wire := end.recv(1 << 16):
            app, reply = responder.receive(wire)
            seen.extend(app)
            if app and responder.verdict == "decoy":
                reply += responder.send(ANSWER)
            end.sendall(reply + responder.flush())


@pytest.mark.parametrize("member", [False, True])
def test_an_independent_stack_agrees(member: bool) -> None:
    responder, seen = answer(), bytearray()
    here, there = socket.socketpair()
    thread = threading.Thread(target=serve, args=(responder, there, seen))
    thread.start()
    with here:
        here.settimeout(20)
        client = tlslite.TLSConnection(here)
        settings = tlslite.HandshakeSettings()
        settings.minVersion = settings.maxVersion = (3, 4)
        client.handshakeClientCert(settings=settings)
        secrets = ChannelSecrets(
            bytes(client.keyingMaterialExporter(bytearray(EXPORTER_LABEL), 32)),
            bytes(client.keyingMaterialExporter(bytearray(LOOKUP_LABEL), 16)),
        )
        key = TorrentKey.basic(INFOHASH)
        client.write(hello.encode(key, "initiator", secrets, 593) if member else b"GET / HTTP/1.1\r\n\r\n")
        got = bytes(client.read(min=1, max=1 << 14))
    thread.join(20)
    if member:
        # Proven over two TLS stacks that share no code: so their exporters agree.
        assert responder.verdict == "proven"
        assert hello.proves(got, key, "responder", secrets)
    else:
        assert (responder.verdict, got, seen) == ("decoy", ANSWER, b"GET / HTTP/1.1\r\n\r\n")
