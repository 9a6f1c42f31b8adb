"""One port for everything: the first bytes of a connection choose its transport; strangers get a web server."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from btresearch.peer import handshake
from btresearch.peer.address import Address
from btresearch.peer.errors import RemoteProtocolError
from btresearch.session.decoy import PHASE_LIMIT_S
from btresearch.session.link import Link
from btresearch.session.quota import network
from btresearch.session.stranger import Host, LinkLine, Relay, SocketLine, entertain
from btresearch.transport import classify
from btresearch.transport.btls import Responder
from btresearch.transport.dispatch import Wire

if TYPE_CHECKING:
    from btresearch.session.node import Node

# Connections that have not said which torrent they are about; see `Crowd` for who makes room.
MAX_UNDECIDED = 256
# Connections that the web server answers; nginx: worker_connections 512.
MAX_STRANGERS = 512
UNDECIDED_S = 20.0
# A shorter limit would tell us from a web server.
WEB_SILENCE_S = PHASE_LIMIT_S["head"]
BACKLOG = 128
TLS_HANDSHAKE, SSL2_LENGTH = 0x16, 0x80

log = logging.getLogger(__name__)


class Listener:
    """The listening socket and the connections that are still undecided."""

    def __init__(self, node: Node, greet: Callable[[Listener], asyncio.BaseProtocol] | None = None) -> None:
        self.node = node
        self.port = 0
        self._greet = Doorman if greet is None else greet
        self._server: asyncio.Server | None = None
        self._undecided, self._strangers = Crowd(), Crowd()

    async def start(self, host: str, port: int) -> None:
        """Listen on `host` ("" = every address) and `port` (0 = any free one). Raises OSError."""
        self._server = await asyncio.get_running_loop().create_server(
            lambda: self._greet(self), sock=_bound_socket(host, port), backlog=BACKLOG
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening; undecided connections go."""
        if self._server is not None:
            self._server.close()
        for crowd in (self._undecided, self._strangers):
            crowd.disperse("stopped")

    def enter(self, who: object, host: str, abort: Callable[[str], None]) -> None:
        """Count an undecided connection from `host`."""
        self._undecided.enter(who, host, abort, MAX_UNDECIDED)

    def entertain(self, who: object, host: str, abort: Callable[[str], None]) -> None:
        """Count a connection that the web server has from here on."""
        self._undecided.leave(who)
        self._strangers.enter(who, host, abort, MAX_STRANGERS)

    def leave(self, who: object) -> None:
        """It is decided, or gone."""
        self._undecided.leave(who)
        self._strangers.leave(who)


class Crowd:
    """Connections that proved nothing. Of the network that has most of them, the oldest makes room.

    So one address that opens connections without end pushes out its own, and not an honest peer's.
    """

    def __init__(self) -> None:
        self._there: dict[object, tuple[str, Callable[[str], None]]] = {}

    def __len__(self) -> int:
        return len(self._there)

    def enter(self, who: object, host: str, abort: Callable[[str], None], limit: int) -> None:
        """Let it in."""
        while len(self._there) >= limit:
            ((largest, _),) = Counter(near for near, _ in self._there.values()).most_common(1)
            oldest = next(each for each, (near, _) in self._there.items() if near == largest)
            # Out of the count at once: a burst of arrivals must not take turns at aborting the same one.
            self._there.pop(oldest)[1]("too many connections that proved nothing")
        self._there[who] = network(host), abort

    def leave(self, who: object) -> None:
        """It is gone, or no longer of this crowd."""
        self._there.pop(who, None)

    def disperse(self, reason: str) -> None:
        """All go."""
        for _, abort in list(self._there.values()):
            abort(reason)


class Doorman(asyncio.Protocol):
    """Reads first bytes until they can be classified, then hands the socket to a `Link`."""

    def __init__(self, listener: Listener) -> None:
        self._listener, self._node = listener, listener.node
        self._head = b""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the clock."""
        self._socket = cast("asyncio.Transport", transport)
        # None: it was reset before it was accepted
        peer = transport.get_extra_info("peername") or ("", 0)
        self._address = Address.of(peer[0], peer[1])
        self._listener.enter(self, self._address.host, lambda reason: self._socket.abort())
        limit_s = WEB_SILENCE_S if self._node.requires_tls else UNDECIDED_S
        self._begun_s = asyncio.get_running_loop().time()
        self._timer = asyncio.get_running_loop().call_later(limit_s, self._socket.abort)

    def data_received(self, data: bytes) -> None:
        """Decide as soon as the bytes allow."""
        self._head += data
        if self._node.requires_tls:
            self._decide_as_a_web_server()
            return
        wire = classify(self._head)
        if wire is not None and self._node.accepts(wire):
            self._link(wire)
        elif wire is not None:
            self._socket.abort()

    def _decide_as_a_web_server(self) -> None:
        """Nginx looks at one byte: a TLS or SSL 2.0 record, or plain HTTP."""
        if self._head[0] == TLS_HANDSHAKE or self._head[0] & SSL2_LENGTH:
            self._link("tls")
        else:
            self._hand_over(PlainOnTlsPort(self._listener, self._begun_s, self._address.host))

    def _link(self, wire: Wire) -> None:
        link = self._node.link(self._node.wires.incoming(wire, self._address))
        link.remote_address = self._address
        link.owner = Arrival(self._listener, link, self._begun_s)
        self._hand_over(link)

    def connection_lost(self, exc: Exception | None) -> None:
        """Gone before it said anything."""
        self._done()

    def _hand_over(self, protocol: asyncio.Protocol) -> None:
        self._done()
        self._socket.set_protocol(protocol)
        protocol.connection_made(self._socket)
        protocol.data_received(self._head)

    def _done(self) -> None:
        self._listener.leave(self)
        if self._timer is not None:
            self._timer.cancel()


class PlainOnTlsPort(asyncio.Protocol):
    """What a web server does with plain bytes on its TLS port."""

    def __init__(self, listener: Listener, begun_s: float, peer_host: str) -> None:
        self._listener, self._begun_s, self._peer_host = listener, begun_s, peer_host
        self._tap = listener.node.tap

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the host in."""
        socket = cast("asyncio.Transport", transport)
        self._line = SocketLine(socket, self._tap)
        self._listener.entertain(self, self._peer_host, lambda reason: socket.abort())
        self._host = entertain(self._line, self._listener.node.decoy, tls=False, begun_s=self._begun_s)

    def data_received(self, data: bytes) -> None:
        """The host's, unless it is over and lingers."""
        if self._tap is not None:
            self._tap(time.time_ns(), "in", data)
        if not self._line.finished:
            self._host.receive(data)

    def eof_received(self) -> bool:
        """A site may still answer."""
        if isinstance(self._host, Relay):
            self._host.end()
            return True
        return False

    def pause_writing(self) -> None:
        """The socket's buffer is full."""
        self._line.writable = False

    def resume_writing(self) -> None:
        """It has drained."""
        self._line.writable = True
        self._host.drained()

    def connection_lost(self, exc: Exception | None) -> None:
        """Over."""
        self._listener.leave(self)
        self._host.leave()


class Arrival:
    """Owner of an accepted link until its torrent is known; then the swarm's `Remote` takes over."""

    def __init__(self, listener: Listener, link: Link, begun_s: float | None = None) -> None:
        self._listener, self._node, self._link = listener, listener.node, link
        self._begun_s = asyncio.get_running_loop().time() if begun_s is None else begun_s
        self._head = b""
        self._host: Host | None = None
        listener.enter(self, link.remote_address.host, link.abort)
        limit_s = WEB_SILENCE_S if isinstance(link.transport, Responder) else UNDECIDED_S
        # Not cut off: nginx says close_notify to a visitor that was silent.
        self._timer = asyncio.get_running_loop().call_at(
            self._begun_s + limit_s, link.close, "undecided for too long"
        )

    def on_ready(self) -> None:
        """btls: the torrent is proven, and its responder speaks first (protocol.md, step 3)."""
        infohash = self._link.transport.infohash
        if isinstance(self._link.transport, Responder) and infohash is not None:
            swarm = self._node.swarms.get(infohash)
            if swarm is None:
                self._link.close("torrent is gone")
                return
            self._done()
            connection = swarm.connection(initiator=False, proven=infohash)
            remote = swarm.adopt(self._link, connection, self._link.remote_address)
            if remote is not None:
                remote.on_ready()

    def on_data(self, data: bytes) -> None:
        """BitTorrent from a peer whose handshake says which torrent; or HTTP for the decoy."""
        if isinstance(self._link.transport, Responder):
            self._serve_stranger(data)
            return
        self._head += data
        try:
            hello = handshake.decode(self._head)
        except RemoteProtocolError as error:
            log.info("%s: refused: %s", self._link.remote_address, error)
            self._link.close(str(error))
            return
        if hello is not None:
            self._admit(hello.infohash)

    def on_writable(self) -> None:
        """A site's answer may have waited."""
        if self._host is not None:
            self._host.drained()

    def on_lost(self, reason: str) -> None:
        """Gone before it was known."""
        log.info("%s: arrival lost: %s", self._link.remote_address, reason)
        self._done()
        if self._host is not None:
            self._host.leave()

    def _admit(self, infohash: bytes) -> None:
        swarm = self._node.swarms.get(infohash)
        proven = self._link.transport.infohash
        is_elsewhere = self._node.is_ssl(infohash) != (self._link.transport.name == "ssl_torrent")
        if swarm is None or is_elsewhere or (proven is not None and proven != infohash):
            swarm = None
        # A torrent that requires TLS is unknown to everything else.
        if swarm is None or not swarm.policy.carries(self._link.transport.name):
            log.info("%s: refused: unknown torrent", self._link.remote_address)
            self._link.close("unknown torrent")
            return
        self._done()
        connection = swarm.connection(initiator=False, infohash=infohash)
        remote = swarm.adopt(self._link, connection, self._link.remote_address)
        if remote is not None:
            remote.on_data(self._head)

    def _serve_stranger(self, data: bytes) -> None:
        if self._host is None:
            self._timer.cancel()
            self._listener.entertain(self, self._link.remote_address.host, self._link.abort)
            self._host = entertain(LinkLine(self._link), self._node.decoy, tls=True, begun_s=self._begun_s)
            if isinstance(self._host, Relay):
                self._link.on_end = self._host.end
        self._host.receive(data)

    def _done(self) -> None:
        self._listener.leave(self)
        self._timer.cancel()


def _bound_socket(host: str, port: int) -> socket.socket:
    """A listening socket; every address means IPv4 and IPv6 on one port where the system can."""
    if not host and socket.has_dualstack_ipv6():
        return socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host or "0.0.0.0", port), family=family)
