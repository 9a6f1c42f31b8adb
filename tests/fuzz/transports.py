"""First bytes, MSE, and btls: below its TLS, and inside it with an engine that encrypts nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise

from btresearch.transport import MseInitiator, MseResponder, ProtocolError, RemoteProtocolError, classify
from btresearch.transport.btls import (
    Initiator,
    Keyring,
    OpenSslClient,
    Responder,
    TorrentKey,
    authenticator,
    request,
)
from btresearch.transport.btls.channel import Channel
from btresearch.transport.btls.engine import HashName, TlsEngine, channel_secrets
from btresearch.transport.btls.exchange import Exchange
from btresearch.transport.btls.frame import take
from btresearch.transport.btls.hello import encode
from btresearch.transport.btls.keys import Role
from btresearch.transport.btls.presentation import handshake
from btresearch.transport.mse.crypto import KEY_BYTES, sha1, stream_ciphers
from btresearch.transport.mse.skey import obfuscate
from btresearch.transport.mse.wire import PROVIDE, SELECT, VC
from btresearch.transport.protocol import Bytes
from tests.fuzz.target import Target
from tests.transport.btls import test_btls_exchange as exchanges
from tests.transport.btls.certificates import Authority, ca, chain, leaf
from tests.transport.btls.members import BASIC, FULL, STRICT, member
from tests.transport.btls.test_btls_authenticator import CONTEXT, REQUEST, keys
from tests.transport.link import Link, seeded
from tests.transport.pairs import INFOHASH, NOW_S, browser, identity
from tests.transport.ssl_peers import serving, ssl_pair

PLAIN = {"entropy": seeded(1), "now_s": lambda: NOW_S}
HANDSHAKE = b"\x13BitTorrent protocol" + bytes(48)


# MSE: the other end's key is 2, its private key 1, so what follows can be encrypted for it


def _mse_reply() -> bytes:
    """Yb and PadB of a responder whose entropy is `seeded(2)`."""
    return MseResponder([INFOHASH], entropy=seeded(2)).receive(_TWO)[1]


_TWO = (2).to_bytes(KEY_BYTES, "big")


def mse_responder_inside(data: bytes) -> None:
    """Steps 3 on, in plain text."""
    responder = MseResponder([INFOHASH], entropy=seeded(2))
    S = responder.receive(_TWO)[1][:KEY_BYTES]
    head = sha1(b"req1", S) + obfuscate(INFOHASH, S)
    responder.receive(head + stream_ciphers(S, INFOHASH)[0](data))
    responder.receive(b"more")


def mse_initiator_inside(data: bytes) -> None:
    """Step 4 on, in plain text."""
    initiator = MseInitiator(INFOHASH, entropy=seeded(3), ia=b"hello")
    S = initiator.start()[:KEY_BYTES]
    initiator.receive(_TWO)
    initiator.receive(stream_ciphers(S, INFOHASH)[1](data))
    initiator.receive(b"more")


def _mse_steps() -> list[bytes]:
    return [PROVIDE.pack(VC, bits, 3) + b"pad" + b"\0\x44" + HANDSHAKE for bits in (1, 2, 3)]


def _mse_answers() -> list[bytes]:
    return [VC + SELECT.pack(bits, 3) + b"pad" + HANDSHAKE for bits in (1, 2)]


def mse_responder(data: bytes) -> None:
    """The wire as it is."""
    MseResponder([INFOHASH], entropy=seeded(2)).receive(data)


def mse_initiator(data: bytes) -> None:
    """The wire as it is."""
    initiator = MseInitiator(INFOHASH, entropy=seeded(3))
    initiator.start()
    initiator.receive(data)


@cache
def _mse_wires() -> tuple[bytes, bytes]:
    link = Link(
        MseInitiator(INFOHASH, entropy=seeded(3)), MseResponder([INFOHASH], entropy=seeded(2))
    ).start()
    return bytes(link.wires[0]), bytes(link.wires[1])


# btls above TLS


class Glass:
    """A TLS engine that lets everything through: one `feed` is one record. Its exporter values are fixed."""

    fallback, tls13, closed = False, True, False
    algorithm: HashName = "sha256"

    def __init__(self) -> None:
        self._in, self._out = list[bytes](), bytearray()

    def feed(self, wire: Bytes) -> None:
        self._in.append(bytes(wire))

    def drain(self) -> bytes:
        drained, self._out = bytes(self._out), bytearray()
        return drained

    def handshake(self) -> bool:
        return True

    def records(self) -> Iterator[bytes]:
        while self._in:
            yield self._in.pop(0)

    def write(self, app: Bytes) -> None:
        self._out += app

    def export(self, label: bytes, length: int) -> bytes:
        return hashlib.sha512(label).digest()[:length]

    def forget(self) -> None:
        """Nothing is kept."""

    def shutdown(self) -> None:
        """Nothing is said."""


SECRETS = channel_secrets(Glass())


def _responder() -> Responder:
    responder = Responder(
        Keyring([FULL, TorrentKey.derive(b"2" * 20, "strict", bytes(32)), TorrentKey.basic(b"3" * 20)]),
        identity(),
        entropy=seeded(2),
        member_of=lambda _key: member(2),
        now_s=lambda: NOW_S,
    )
    engine: TlsEngine = Glass()
    responder._channel, responder._engine = Channel(engine, "rechunk"), engine
    return responder


def hello(data: bytes) -> None:
    """The first record at the responder, and a second one."""
    responder = _responder()
    responder.receive(data)
    responder.receive(b"\0\0\1x")
    assert responder.ready or responder.verdict != "proven"


def hello_answer(key: TorrentKey) -> Callable[[bytes], None]:
    """What the responder says, in two records."""

    def run(data: bytes) -> None:
        initiator = Initiator(
            key,
            client=lambda _: Glass(),
            member=member(1) if key.level == "full" else None,
            entropy=seeded(1),
            now_s=lambda: NOW_S,
        )
        initiator.start()
        initiator.receive(b"")
        cut = len(data) // 2
        initiator.receive(data[:cut])
        initiator.receive(data[cut:])

    return run


def _hellos(role: Role, *torrents: TorrentKey) -> list[bytes]:
    return [encode(key, role, SECRETS, pad_bytes) for key in torrents for pad_bytes in (0, 593)]


# Level Full's exchange


@cache
def _flights() -> list[bytes]:
    return exchanges.run(exchanges.end("initiator"), exchanges.end("responder"))


def exchange(role: Role) -> Callable[[bytes], None]:
    """One end, its first frame out; the other's frames come in."""

    def run(data: bytes) -> None:
        own: Exchange = exchanges.end(role)
        own.receive(b"")
        own.receive(data)
        assert not own.done or own.leaf is not None

    return run


def signed_authenticator(data: bytes) -> None:
    """Certificate and CertificateVerify are the input's; Finished is right, as only an insider can make it."""
    size = int.from_bytes(data[:2], "big")
    certificate = handshake(authenticator.CERTIFICATE, data[2 : 2 + size])
    verification = handshake(authenticator.CERTIFICATE_VERIFY, data[2 + size :])
    mac = authenticator.finished_mac(keys(), REQUEST, certificate, verification)
    message = certificate + verification + handshake(authenticator.FINISHED, mac)
    authenticator.verified(keys(), REQUEST, CONTEXT, message)


def _authenticators(*kinds: str) -> list[bytes]:
    """Whole ones."""
    return [authenticator.build(keys(), REQUEST, CONTEXT, member(1, kind).credential) for kind in kinds]


def _bodies() -> list[bytes]:
    found = []
    for message in _authenticators("p256", "ed25519", "rsa"):
        end = 4 + int.from_bytes(message[1:4], "big")
        last = end + 4 + int.from_bytes(message[end + 1 : end + 4], "big")
        found.append((end - 4).to_bytes(2, "big") + message[4:end] + message[end + 4 : last])
    return found


def verified(data: bytes) -> None:
    """A whole authenticator."""
    authenticator.verified(keys(), REQUEST, CONTEXT, data)


def certificates(data: bytes) -> None:
    """Up to three certificates: lengths, then DER; the torrent trusts the seeds' CA."""
    from btresearch.transport.btls.chain import validate

    ends = [0, *sorted(int.from_bytes(data[at : at + 2], "big") for at in (0, 2, 4))]
    found = tuple(data[6 + start : 6 + end] for start, end in pairwise(ends) if end > start)
    validate(found, ca={Authority().anchor}, infohash=INFOHASH, now_s=NOW_S)


def _chains() -> list[bytes]:
    issuing = ca(101, subject="Issuing")
    found = [chain(leaf(), ca()), chain(leaf(), issuing, ca(path_length=1))]
    return [b"".join(end.to_bytes(2, "big") for end in _ends(each)) + b"".join(each) for each in found]


def _ends(ders: tuple[bytes, ...]) -> list[int]:
    ends = [sum(map(len, ders[: count + 1])) for count in range(len(ders))]
    return (ends + ends[-1:])[:3]


# Below TLS


def tls_server(data: bytes) -> None:
    """Wire bytes at the responder: what any stranger can send."""
    responder = Responder(Keyring([BASIC]), identity(), entropy=seeded(2))
    cut = len(data) // 2
    responder.receive(data[:cut])
    responder.receive(data[cut:])
    assert responder.verdict != "proven"


def tls_client(data: bytes, client: Callable[[], Callable[[str | None], TlsEngine]] = OpenSslClient) -> None:
    """Wire bytes at the initiator: what any fake responder can send."""
    initiator = Initiator(BASIC, client=client())
    initiator.start()
    cut = len(data) // 2
    initiator.receive(data[:cut])
    initiator.receive(data[cut:])
    assert not initiator.ready


def ssl_server(data: bytes) -> None:
    """Wire bytes at the port of SSL torrents."""
    serving().accept().receive(data)


@cache
def _tls_wires() -> tuple[list[bytes], list[bytes]]:
    client, server = [], []
    for factory in (browser(), OpenSslClient()):
        link = Link(
            Initiator(BASIC, client=factory), Responder(Keyring([BASIC]), identity(), entropy=seeded(2))
        )
        link.start()
        client.append(bytes(link.wires[0])[:8000])
        server.append(bytes(link.wires[1])[:8000])
    return client, server


@cache
def _ssl_wires() -> list[bytes]:
    return [bytes(Link(*ssl_pair()).start().wires[0])]


_ERRORS = (RemoteProtocolError,)

TARGETS = {
    "dispatch": Target(classify, lambda: [HANDSHAKE, b"\x16\3\1\0\xc8\1\0\0\xc4\3\3", b"GET / HTTP/1.1"]),
    "mse_responder": Target(mse_responder, lambda: [_mse_wires()[0]], _ERRORS),
    "mse_initiator": Target(mse_initiator, lambda: [_mse_wires()[1]], _ERRORS),
    "mse_responder_inside": Target(mse_responder_inside, _mse_steps, _ERRORS),
    "mse_initiator_inside": Target(mse_initiator_inside, _mse_answers, _ERRORS),
    "btls_hello": Target(
        hello,
        lambda: [*_hellos("initiator", TorrentKey.basic(b"3" * 20), FULL), b"GET / HTTP/1.1\r\n\r\n"],
        _ERRORS,
    ),
    "btls_answer": Target(hello_answer(STRICT), lambda: _hellos("responder", STRICT), _ERRORS),
    "btls_answer_full": Target(hello_answer(FULL), lambda: _hellos("responder", FULL), _ERRORS),
    "btls_frame": Target(lambda data: take(bytearray(data)), lambda: [b"\0\0\3abc", _flights()[0]], _ERRORS),
    "btls_request": Target(lambda data: request.decode("responder", data), lambda: [REQUEST], _ERRORS),
    "btls_authenticator": Target(verified, lambda: _authenticators("p256", "ed25519"), _ERRORS),
    "btls_authenticator_inside": Target(signed_authenticator, _bodies, _ERRORS),
    "btls_chain": Target(certificates, _chains, _ERRORS),
    "btls_exchange_responder": Target(
        exchange("responder"), lambda: [_flights()[1], _flights()[1] + HANDSHAKE], _ERRORS
    ),
    "btls_exchange_initiator": Target(
        exchange("initiator"), lambda: [_flights()[0] + _flights()[2], _flights()[0]], _ERRORS
    ),
    "tls_server": Target(tls_server, lambda: _tls_wires()[0], _ERRORS, steady=False),
    "tls_client": Target(tls_client, lambda: _tls_wires()[1], _ERRORS, steady=False),
    "tls_client_browser": Target(
        lambda data: tls_client(data, browser), lambda: _tls_wires()[1], _ERRORS, steady=False
    ),
    "ssl_torrent_server": Target(ssl_server, _ssl_wires, (ProtocolError,), steady=False),
}
