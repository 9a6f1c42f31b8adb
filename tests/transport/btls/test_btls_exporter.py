from __future__ import annotations

import pytest
from OpenSSL import SSL

from btresearch.transport import LocalProtocolError
from btresearch.transport.btls.engine import TlsEngine
from btresearch.transport.btls.exporter import MAX_UNCLAIMED, ExporterSecrets, tls13_exporter
from btresearch.transport.btls.openssl import OpenSslEngine
from btresearch.transport.btls.server_openssl import accept
from tests.transport.pairs import CLIENTS, identity

LABELS = [(b"EXPORTER-bittorrent-tls-1", 32), (b"EXPORTER-bittorrent-tls-1 lookup", 16), (b"EXPORTER-x", 100)]


def shake(client: TlsEngine, server: TlsEngine) -> None:
    done = [False, False]
    while not all(done):
        done[0] = done[0] or client.handshake()
        server.feed(client.drain())
        done[1] = done[1] or server.handshake()
        client.feed(server.drain())


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(("label", "length"), LABELS)
def test_both_stacks_export_the_same(client: str, label: bytes, length: int) -> None:
    ends = CLIENTS[client]()(None), accept(identity().context)
    shake(*ends)
    exported = ends[0].export(label, length)
    assert len(exported) == length
    assert exported == ends[1].export(label, length)


@pytest.mark.parametrize("suite", [b"TLS_AES_128_GCM_SHA256", b"TLS_AES_256_GCM_SHA384"])
def test_our_exporter_agrees_with_openssl_s_under_both_hashes(suite: bytes) -> None:
    lines: list[bytes] = []
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_tls13_ciphersuites(suite)
    context.set_keylog_callback(lambda _connection, line: lines.append(line))
    connection = SSL.Connection(context, None)
    connection.set_connect_state()
    shake(OpenSslEngine(connection), accept(identity().context))
    secret = next(bytes.fromhex(line.split()[2].decode()) for line in lines if line.startswith(b"EXPORTER"))
    for label, length in LABELS:
        assert tls13_exporter(secret, label, b"ctx", length) == connection.export_keying_material(
            label, length, b"ctx"
        )


class FixedLog:
    path = "nowhere"

    def __init__(self, text: bytes) -> None:
        self.text = text

    def drain(self) -> bytes:
        text, self.text = self.text, b""
        return text


def line(n: int) -> bytes:
    return b"EXPORTER_SECRET %064x %064x\n" % (n, n)


def test_each_connection_takes_its_own_secret_once() -> None:
    noise = b"# comment\nCLIENT_RANDOM aa bb\nEXPORTER_SECRET only\n\n"
    secrets = ExporterSecrets(FixedLog(noise + line(1) + line(2)))
    assert secrets.take((2).to_bytes(32, "big")) == (2).to_bytes(32, "big")
    assert secrets.take((1).to_bytes(32, "big")) == (1).to_bytes(32, "big")
    with pytest.raises(LocalProtocolError, match="key log"):
        secrets.take((1).to_bytes(32, "big"))


def test_secrets_that_nobody_asks_for_are_forgotten_oldest_first() -> None:
    secrets = ExporterSecrets(FixedLog(b"".join(line(n) for n in range(MAX_UNCLAIMED + 1))))
    secrets.take(MAX_UNCLAIMED.to_bytes(32, "big"))
    with pytest.raises(LocalProtocolError):
        secrets.take(bytes(32))


def test_the_key_log_is_empty_after_a_handshake() -> None:
    from btresearch.transport.btls.client_utls import UtlsClient
    from tests.transport.btls.memory_keylog import MemoryKeyLog

    keylog = MemoryKeyLog()
    shake(UtlsClient(keylog)(None), accept(identity().context))
    assert keylog.drain() == b""
    keylog.close()
