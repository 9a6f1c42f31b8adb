"""Both ends of a Full torrent, ready to be attacked."""

from __future__ import annotations

import os
from collections.abc import Callable

from btresearch.transport.btls import ClientFactory, Initiator, Keyring, Member, Responder, TorrentKey
from btresearch.transport.btls.engine import TlsEngine, channel_secrets
from btresearch.transport.btls.hello import encode
from btresearch.transport.btls.server_openssl import accept
from tests.transport.btls.certificates import Authority, leaf
from tests.transport.pairs import INFOHASH, NOW_S, browser, identity

SECRET = bytes(range(32))
AUTHORITY = Authority()
FULL = TorrentKey.derive(INFOHASH, "full", SECRET)
STRICT = TorrentKey.derive(INFOHASH, "strict", SECRET)
BASIC = TorrentKey.basic(INFOHASH)


def member(number: int = 1, kind: str = "p256") -> Member:
    return AUTHORITY.member(leaf(number, kind=kind))


def dial_full(
    own: Member | None = None,
    *,
    client: ClientFactory | None = None,
    pin: bytes | None = None,
    key: TorrentKey = FULL,
    now_s: float = NOW_S,
) -> Initiator:
    return Initiator(
        key,
        client=client or browser(),
        member=own or member(1),
        pin=pin,
        entropy=os.urandom,
        now_s=lambda: now_s,
    )


def answer_full(
    own: Member | None = None,
    *keys: TorrentKey,
    now_s: float = NOW_S,
    member_of: Callable[[TorrentKey], Member | None] | None = None,
) -> Responder:
    mine = own or member(2)
    return Responder(
        Keyring(keys or (FULL,)),
        identity(),
        entropy=os.urandom,
        now_s=lambda: now_s,
        member_of=member_of or (lambda _key: mine),
    )


class Impostor:
    """A server that holds a torrent's secret, terminates TLS, and says what the test wants it to say."""

    def __init__(self, initiator: Initiator) -> None:
        self.engine: TlsEngine = accept(identity().context)
        self._initiator = initiator
        wire = initiator.start()
        for _ in range(3):
            self.engine.feed(wire)
            self.engine.handshake()
            _, wire = initiator.receive(self.engine.drain())
        self.engine.feed(wire)
        self.heard = b"".join(self.engine.records())

    def hello(self, key: TorrentKey) -> bytes:
        return encode(key, "responder", channel_secrets(self.engine), 0)

    def say(self, app: bytes) -> tuple[bytes, bytes]:
        """Send one write; return what the initiator's application got, and what it answered."""
        self.engine.write(app)
        got, wire = self._initiator.receive(self.engine.drain())
        self.engine.feed(wire + self._initiator.flush())
        return got, b"".join(self.engine.records())


class Intruder:
    """A client that holds a torrent's secret, and says what the test wants it to say."""

    def __init__(self, responder: Responder, client: ClientFactory | None = None) -> None:
        self.engine = (client or browser())(None)
        self._responder = responder
        done = False
        for _ in range(4):
            done = done or self.engine.handshake()
            wire = self.engine.drain()
            if wire:
                self.engine.feed(responder.receive(wire)[1])
        assert done

    def hello(self, key: TorrentKey, pad_bytes: int = 593) -> bytes:
        return encode(key, "initiator", channel_secrets(self.engine), pad_bytes)

    def say(self, app: bytes) -> tuple[bytes, bytes]:
        """Send one write; return what the responder's application got, and what it answered."""
        self.engine.write(app)
        got, wire = self._responder.receive(self.engine.drain())
        self.engine.feed(wire + self._responder.flush())
        return got, b"".join(self.engine.records())
