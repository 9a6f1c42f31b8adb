"""The accepting end: an ordinary HTTPS server to all but those who prove a torrent."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Literal

from btresearch.transport.btls import hello
from btresearch.transport.btls.chain import Leaf
from btresearch.transport.btls.channel import Channel
from btresearch.transport.btls.credential import Member
from btresearch.transport.btls.engine import channel_secrets
from btresearch.transport.btls.exchange import Exchange
from btresearch.transport.btls.identity import ServerIdentity
from btresearch.transport.btls.keyring import Keyring
from btresearch.transport.btls.keys import ChannelSecrets, TorrentKey
from btresearch.transport.btls.server_openssl import accept
from btresearch.transport.errors import LocalProtocolError, RemoteProtocolError
from btresearch.transport.protocol import Bytes, Entropy

Verdict = Literal["pending", "proven", "decoy"]
Lookup = Callable[[bytes, bytes], TorrentKey | None]

# Drawn, because a size that all responders share would be theirs alone: a response header and a small body.
_PAD_LOW_BYTES, _PAD_HIGH_BYTES = 200, 1200

MAX_LOOKUP_BACKLOG_BYTES = 1 << 20
"""Wire bytes taken in while a deferred lookup is pending."""

# Keeps a miss as long as a hit: some key is always tried.
_NOBODY = TorrentKey.basic(bytes(20))


class ConnectedToSelf(RemoteProtocolError):
    """The initiator of this connection is this very process."""


@dataclass(frozen=True)
class Query:
    """What a lookup needs: hand `tag` and `K` to `Keyring.lookup`."""

    tag: bytes
    K: bytes = field(repr=False)


class _State(Enum):
    HANDSHAKE = auto()
    FIRST_RECORD = auto()
    LOOKUP = auto()
    MEMBERSHIP = auto()
    PROVEN = auto()
    DECOY = auto()
    OVER = auto()


_VERDICTS: dict[_State, Verdict] = {_State.PROVEN: "proven", _State.DECOY: "decoy"}


class Responder:
    """One accepted btls connection (steps 2 and 3, and the exchange of level Full).

    Watch `verdict`: in "decoy" the bytes that `receive` returns are the decoy's, irrevocably, and `send`
    carries its answer; `ready` stays False, so nothing of BitTorrent can reach a prober. With
    `deferred_lookup`, `receive` leaves a `query` instead of searching the keyring itself: `search` in another
    thread, then call `resolve`. `admit` is asked before any lookup; False (a rate limit) means decoy. A torrent
    of level Full meets the decoy unless `member_of` returns one's own membership; it needs `now_s` (Unix time).
    """

    def __init__(
        self,
        keyring: Keyring,
        identity: ServerIdentity,
        *,
        entropy: Entropy,
        shape: str = "rechunk",
        deferred_lookup: bool = False,
        admit: Callable[[], bool] = lambda: True,
        own_ekms: Container[bytes] = (),
        member_of: Callable[[TorrentKey], Member | None] = lambda _key: None,
        now_s: Callable[[], float] | None = None,
    ) -> None:
        self.peer_leaf: Leaf | None = None
        self.infohash: bytes | None = None
        self.query: Query | None = None
        self._keyring, self._entropy, self._admit = keyring, entropy, admit
        self._deferred, self._own_ekms = deferred_lookup, own_ekms
        self._member_of, self._now_s = member_of, now_s
        self._key: TorrentKey | None = None
        self._exchange: Exchange | None = None
        self._channel = Channel(accept(identity.context), shape)
        self._engine = self._channel.engine
        self._secrets = ChannelSecrets(b"", b"")
        self._state = _State.HANDSHAKE
        self._queue, self._first = bytearray(), b""
        self._backlog_bytes = 0

    @property
    def name(self) -> str:
        """`btls_basic`, `btls_strict` or `btls_full`, settled once `ready`."""
        return f"btls_{self._key.level if self._key else 'basic'}"

    @property
    def ready(self) -> bool:
        """The initiator's proof holds; at level Full, its authenticator too."""
        return self._state is _State.PROVEN

    @property
    def verdict(self) -> Verdict:
        """What the first application-data record said; at level Full, "pending" until the initiator is a member."""
        return _VERDICTS.get(self._state, "pending")

    @property
    def exchanging(self) -> bool:
        """Level Full's exchange is under way; the caller limits how long it may take."""
        return self._state is _State.MEMBERSHIP

    @property
    def expires_s(self) -> float | None:
        """When the other end's certificate, and with it the connection, ends (Unix time); None below Full."""
        return None if self.peer_leaf is None else float(self.peer_leaf.not_after_s)

    @property
    def closed(self) -> bool:
        """The other end said close_notify."""
        return self._engine.closed

    def start(self) -> bytes:
        """Return nothing: a responder waits for a ClientHello."""
        return b""

    def receive(self, wire: Bytes) -> tuple[bytes, bytes]:
        """Take wire bytes; return (application bytes, reply). Raises RemoteProtocolError."""
        self._alive()
        return self._guarded(lambda: self._receive(wire))

    def search(self, query: Query) -> TorrentKey | None:
        """Find what `resolve` wants; in any thread."""
        return self._keyring.lookup(query.tag, query.K)

    def resolve(self, key: TorrentKey | None) -> tuple[bytes, bytes]:
        """Answer `query` (see `deferred_lookup`); return as `receive` does."""
        if self._state is not _State.LOOKUP:
            raise LocalProtocolError("btls: no lookup is pending")
        self.query = None
        return self._guarded(lambda: self._resolve(key))

    def send(self, app: Bytes) -> bytes:
        """Encrypt (the decoy's bytes as they come, the peer's as the shape lets them go), or queue."""
        self._alive()
        if self._state is _State.PROVEN:
            self._channel.push(app)
        elif self._state is _State.DECOY:
            self._engine.write(app)
        else:
            self._queue += app
        return self._engine.drain()

    def flush(self) -> bytes:
        """Encrypt what the shape holds back: the Hello shares a record with what was sent since."""
        if self._state is _State.PROVEN:
            self._channel.flush()
        return self._engine.drain()

    def close(self) -> bytes:
        """Say close_notify; to a stranger who has said it, nothing, as nginx does."""
        if self._state is _State.OVER:
            return b""
        silent = self._engine.closed and self._state is not _State.PROVEN
        self._state = _State.OVER
        return self._engine.drain() if silent else self._channel.goodbye()

    def _alive(self) -> None:
        if self._state is _State.OVER:
            raise LocalProtocolError("btls: used after it ended")

    def _guarded(self, step: Callable[[], bytes]) -> tuple[bytes, bytes]:
        try:
            app = step()
        except RemoteProtocolError:
            self._state = _State.OVER
            raise
        return app, self._engine.drain()

    def _receive(self, wire: Bytes) -> bytes:
        self._bound_backlog(len(wire))
        self._engine.feed(wire)
        if self._state is _State.HANDSHAKE and self._engine.handshake():
            self._begin()
        if self._state is _State.FIRST_RECORD:
            return self._decide(next(self._engine.records(), b""))
        return self._rest()

    def _bound_backlog(self, arrived: int) -> None:
        if self._state is not _State.LOOKUP:
            return
        self._backlog_bytes += arrived
        if self._backlog_bytes > MAX_LOOKUP_BACKLOG_BYTES:
            raise self._channel.refuse("btls: too much data while a lookup is pending")

    def _begin(self) -> None:
        if not self._engine.tls13:
            self._to_decoy()
            return
        self._secrets = channel_secrets(self._engine)
        self._state = _State.FIRST_RECORD

    def _rest(self) -> bytes:
        if self._state in (_State.HANDSHAKE, _State.FIRST_RECORD, _State.LOOKUP):
            return b""
        app = b"".join(self._engine.records())
        return app if self._exchange is None or self.ready else self._authenticate(self._exchange, app)

    def _decide(self, first: bytes) -> bytes:
        """Step 2: this one record decides, and no later byte can change it.

        What can't be a Hello is looked up like one that is: else its answer would come sooner.
        """
        if not first:
            return b""
        self._first = first
        if not self._admit():
            return self._resolve(None)
        self._state = _State.LOOKUP
        query = Query(hello.tag_of(first.ljust(hello.HEAD_BYTES, b"\0")), self._secrets.K)
        if self._deferred:
            self.query = query
            return b""
        return self._resolve(self.search(query))

    def _resolve(self, key: TorrentKey | None) -> bytes:
        first, self._first = self._first, b""
        holds = hello.proves(first, key or _NOBODY, "initiator", self._secrets)
        possible = len(first) >= hello.HEAD_BYTES
        member = self._member_of(key) if key is not None and key.level == "full" else None
        if key is None or not (holds and possible) or (key.level == "full" and member is None):
            self._to_decoy()
            return first + self._rest()
        self._accept(key, first)
        self._answer(key, member)
        return self._rest()

    def _to_decoy(self) -> None:
        self._queue.clear()
        self._state = _State.DECOY

    def _accept(self, key: TorrentKey, first: bytes) -> None:
        if self._secrets.EKM in self._own_ekms:
            raise ConnectedToSelf("btls: connected to self", goodbye=self._channel.goodbye())
        if hello.total_bytes(first) != len(first):
            raise self._channel.refuse("btls: Hello is not exactly one record")
        self._key = key
        self._channel.push(hello.encode(key, "responder", self._secrets, self._pad_bytes()))

    def _answer(self, key: TorrentKey, member: Member | None) -> None:
        """Open the connection, or begin level Full's exchange: nobody flushes before it is ready."""
        if member is None:
            self._open()
            return
        if self._now_s is None:
            raise LocalProtocolError("btls: level full needs a clock")
        self._state = _State.MEMBERSHIP
        self._exchange = Exchange.of(
            "responder", self._engine, key.infohash, member, entropy=self._entropy, now_s=self._now_s
        )
        self._authenticate(self._exchange, b"")
        self._channel.flush()

    def _authenticate(self, exchange: Exchange, app: bytes) -> bytes:
        self._channel.exchange(exchange, app)
        if not exchange.done:
            return b""
        self.peer_leaf = exchange.leaf
        self._open()
        return exchange.rest()

    def _open(self) -> None:
        self._state = _State.PROVEN
        self.infohash = self._key.infohash if self._key else None
        self._engine.forget()
        self._channel.push(bytes(self._queue))
        self._queue.clear()

    def _pad_bytes(self) -> int:
        span = _PAD_HIGH_BYTES - _PAD_LOW_BYTES
        return _PAD_LOW_BYTES + int.from_bytes(self._entropy(4), "big") % span
