"""The dialling end: Hello first, and no BitTorrent byte before the other end has proved the torrent."""

from __future__ import annotations

from collections.abc import MutableSet
from enum import Enum, auto

from btresearch.transport.btls import hello
from btresearch.transport.btls.channel import Channel
from btresearch.transport.btls.engine import ClientFactory, channel_secrets
from btresearch.transport.btls.keys import ChannelSecrets, TorrentKey
from btresearch.transport.errors import LocalProtocolError, RemoteProtocolError
from btresearch.transport.protocol import Bytes


class _State(Enum):
    HANDSHAKE = auto()
    PROOF = auto()
    READY = auto()
    OVER = auto()


class Initiator:
    """One dialled btls connection (steps 1 and 4).

    `client` makes the TLS engine (`UtlsClient`, or `OpenSslClient` as marked fallback). `own_ekms` is shared
    with the process' responders, which recognise a connection to self by it.
    """

    def __init__(
        self,
        key: TorrentKey,
        *,
        client: ClientFactory,
        shape: str = "rechunk",
        sni: str | None = None,
        own_ekms: MutableSet[bytes] | None = None,
    ) -> None:
        self.infohash: bytes | None = key.infohash
        self._key = key
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
        """The responder's proof holds."""
        return self._state is _State.READY

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
        return self._verify(app) if self._state is _State.PROOF else app

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
        if len(self._answer) < end:
            return b""
        self._own_ekms.discard(self._secrets.EKM)
        self._state = _State.READY
        self._channel.push(bytes(self._queue))
        app, self._answer, self._queue = bytes(self._answer[end:]), bytearray(), bytearray()
        return app
