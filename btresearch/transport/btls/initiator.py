"""The dialling end: Hello first, and no BitTorrent byte before the other end has proved what the level asks."""

from __future__ import annotations

from collections.abc import Callable, MutableSet
from enum import Enum, auto

from btresearch.transport.btls import hello
from btresearch.transport.btls.chain import Leaf
from btresearch.transport.btls.channel import Channel
from btresearch.transport.btls.credential import Member
from btresearch.transport.btls.engine import ClientFactory, TlsEngine, channel_secrets
from btresearch.transport.btls.exchange import Exchange
from btresearch.transport.btls.keys import ChannelSecrets, TorrentKey
from btresearch.transport.errors import LocalProtocolError, RemoteProtocolError
from btresearch.transport.protocol import Bytes, Entropy
from btresearch.transport.shape import MAX_RECORD_BYTES


class _State(Enum):
    HANDSHAKE = auto()
    PROOF = auto()
    MEMBERSHIP = auto()
    READY = auto()
    OVER = auto()


class Initiator:
    """One dialled btls connection (steps 1 and 4, and the exchange of level Full).

    `client` makes the TLS engine (`UtlsClient`, or `OpenSslClient` as marked fallback). `own_ekms` is shared
    with the process' responders, which recognise a connection to self by it. Level Full needs `member`,
    `entropy` and `now_s` (Unix time), and takes `pin`, the SPKI SHA-256 of the one leaf that may answer.
    """

    def __init__(
        self,
        key: TorrentKey,
        *,
        client: ClientFactory,
        shape: str = "rechunk",
        sni: str | None = None,
        own_ekms: MutableSet[bytes] | None = None,
        member: Member | None = None,
        pin: bytes | None = None,
        entropy: Entropy | None = None,
        now_s: Callable[[], float] | None = None,
    ) -> None:
        self.infohash: bytes | None = key.infohash
        self.peer_leaf: Leaf | None = None
        self._key = key
        self._begin_exchange = _exchange_of(key, member, pin, entropy, now_s)
        self._exchange: Exchange | None = None
        self._channel = Channel(client(sni), shape)
        self._engine = self._channel.engine
        self._own_ekms: MutableSet[bytes] = set() if own_ekms is None else own_ekms
        self._secrets = ChannelSecrets(b"", b"")
        self._state = _State.HANDSHAKE
        self._queue, self._answer = bytearray(), bytearray()

    @property
    def name(self) -> str:
        """`btls_basic`, `btls_strict` or `btls_full`."""
        return f"btls_{self._key.level}"

    @property
    def ready(self) -> bool:
        """The responder's proof holds; at level Full, both authenticators."""
        return self._state is _State.READY

    @property
    def exchanging(self) -> bool:
        """Level Full's exchange is under way; the caller limits how long it may take."""
        return self._state is _State.MEMBERSHIP

    @property
    def expires_s(self) -> float | None:
        """When the other end's certificate, and with it the connection, ends (Unix time); None below Full."""
        return None if self.peer_leaf is None else float(self.peer_leaf.not_after_s)

    @property
    def fallback(self) -> bool:
        """The ClientHello was not a browser's."""
        return self._engine.fallback

    @property
    def closed(self) -> bool:
        """The other end said close_notify."""
        return self._engine.closed

    def start(self) -> bytes:
        """Return the ClientHello."""
        self._engine.handshake()
        return self._engine.drain()

    def receive(self, wire: Bytes) -> tuple[bytes, bytes]:
        """Take wire bytes; return (application bytes, reply).

        Raises RemoteProtocolError when the other end is no member of the torrent; its `goodbye` is close_notify.
        """
        self._alive()
        try:
            self._engine.feed(wire)
            if self._state is _State.HANDSHAKE and self._engine.handshake():
                self._prove()
            app = b"" if self._state is _State.HANDSHAKE else self._read()
        except RemoteProtocolError:
            self._end()
            raise
        return app, self._engine.drain()

    def send(self, app: Bytes) -> bytes:
        """Encrypt what the shape lets go, or queue until the proof holds."""
        self._alive()
        if self._state is not _State.READY:
            self._queue += app
            return b""
        self._channel.push(app)
        return self._engine.drain()

    def flush(self) -> bytes:
        """Encrypt what the shape holds back."""
        if self._state is not _State.READY:
            return b""
        self._channel.flush()
        return self._engine.drain()

    def close(self) -> bytes:
        """Say close_notify. What was queued for an unproven responder is dropped."""
        if self._state is _State.OVER:
            return b""
        self._end()
        return self._channel.goodbye()

    def _alive(self) -> None:
        if self._state is _State.OVER:
            raise LocalProtocolError("btls: used after it ended")

    def _end(self) -> None:
        self._own_ekms.discard(self._secrets.EKM)
        self._state = _State.OVER

    def _prove(self) -> None:
        if not self._engine.tls13:
            raise self._channel.refuse("btls: the other end negotiated TLS 1.2")
        self._secrets = channel_secrets(self._engine)
        self._own_ekms.add(self._secrets.EKM)
        # Past the shape: the Hello is one record of a browser's first request.
        self._engine.write(hello.encode(self._key, "initiator", self._secrets, hello.INITIATOR_PAD_BYTES))
        self._state = _State.PROOF

    def _read(self) -> bytes:
        app = b"".join(self._engine.records())
        if self._state is _State.PROOF:
            app = self._verify(app)
        return app if self._exchange is None or self.ready else self._authenticate(self._exchange, app)

    def _verify(self, answer: bytes) -> bytes:
        self._answer += answer
        if len(self._answer) < hello.HEAD_BYTES:
            if self._engine.closed:
                raise self._channel.refuse("btls: closed without a proof")
            return b""
        head = bytes(self._answer[: hello.HEAD_BYTES])
        if not hello.proves(head, self._key, "responder", self._secrets):
            raise self._channel.refuse("btls: the other end did not prove the torrent")
        end = hello.total_bytes(head)
        if end > MAX_RECORD_BYTES:
            raise self._channel.refuse(f"btls: Hello of {end} bytes, expected at most {MAX_RECORD_BYTES}")
        if len(self._answer) < end:
            return b""
        self._own_ekms.discard(self._secrets.EKM)
        app, self._answer = bytes(self._answer[end:]), bytearray()
        if self._begin_exchange is None:
            self._open()
        else:
            self._exchange = self._begin_exchange(self._engine)
            self._state = _State.MEMBERSHIP
        return app

    def _authenticate(self, exchange: Exchange, app: bytes) -> bytes:
        self._channel.exchange(exchange, app)
        self._channel.flush()  # nobody else does before it is ready
        if not exchange.done:
            return b""
        self.peer_leaf = exchange.leaf
        self._open()
        return exchange.rest()

    def _open(self) -> None:
        self._state = _State.READY
        self._engine.forget()
        self._channel.push(bytes(self._queue))
        self._queue.clear()


def _exchange_of(
    key: TorrentKey,
    member: Member | None,
    pin: bytes | None,
    entropy: Entropy | None,
    now_s: Callable[[], float] | None,
) -> Callable[[TlsEngine], Exchange] | None:
    """Return what begins level Full's exchange; None where the level has none."""
    if key.level != "full":
        return None
    if member is None or entropy is None or now_s is None:
        raise LocalProtocolError("btls: level full needs a member's credential, entropy and a clock")
    return lambda engine: Exchange.of(
        "initiator", engine, key.infohash, member, entropy=entropy, now_s=now_s, pin=pin
    )
