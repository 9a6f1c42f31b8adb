"""A light peer that comes, shakes hands, fetches one block and stays: hundreds fit into one process."""

from __future__ import annotations

import asyncio
import os
import time
from typing import cast

from btresearch.peer import opening
from btresearch.peer.connection import PeerConnection
from btresearch.peer.errors import RemoteProtocolError
from btresearch.peer.events import Event
from btresearch.peer.handshake import HANDSHAKE_BYTES, Handshake
from btresearch.peer.layout import Layout
from btresearch.peer.messages import Bitfield, HaveAll, Piece
from btresearch.peer.pieces import PieceSet
from btresearch.transport import ProtocolError, Transport

ASKED_BLOCKS = 1


class Guest(asyncio.Protocol):
    """One dialled connection. `host` is its own address as the other end sees it.

    `greeted` and `served` are done when the other end's handshake and its first block are here: seconds after
    TCP was up. Both fail with ConnectionError when the connection ends before.
    """

    def __init__(self, transport: Transport, infohash: bytes, layout: Layout, host: str) -> None:
        loop = asyncio.get_running_loop()
        self.greeted: asyncio.Future[float] = loop.create_future()
        self.served: asyncio.Future[float] = loop.create_future()
        self._gone: asyncio.Future[None] = loop.create_future()
        self._transport, self._layout, self._host = transport, layout, host
        self._connection = PeerConnection(
            initiator=True, peer_id=os.urandom(20), infohash=infohash, layout=layout, extensions={}
        )
        self._missing = HANDSHAKE_BYTES
        self._spoke = False
        self._socket: asyncio.Transport | None = None
        self._began_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TCP is up."""
        self._socket = cast("asyncio.Transport", transport)
        self._began_s = time.monotonic()
        self._socket.write(self._transport.start())
        self._say()

    def data_received(self, data: bytes) -> None:
        """Wire bytes."""
        try:
            app, reply = self._transport.receive(data)
            self._put(reply)
            self._greet()
            self._hear(app)
            self._say()
        except (ProtocolError, RemoteProtocolError) as error:
            self._put(getattr(error, "goodbye", b""))
            if self._socket is not None:
                self._socket.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Over; whoever waits is told."""
        self._gone.set_result(None)
        for future in (self.greeted, self.served):
            if not future.done():
                future.set_exception(ConnectionError("the other end hung up"))
                future.exception()  # asyncio would warn if nobody asked

    async def leave(self) -> None:
        """Go, and wait until the socket is gone."""
        if self._socket is not None:
            self._socket.abort()
            await self._gone

    def _hear(self, app: bytes) -> None:
        head, rest = app[: self._missing], app[self._missing :]
        self._missing -= len(head)
        for part in (head, rest):
            for event in self._connection.receive(part) if part else ():
                self._react(event)

    def _react(self, event: Event) -> None:
        if isinstance(event, Handshake):
            self._done(self.greeted)
            opening.answer(self._connection, PieceSet(self._layout.piece_count), {}, peer_host=self._host)
            if self._transport.name.startswith("btls"):
                opening.expect(self._connection, self._host)
        elif isinstance(event, Piece):
            self._done(self.served)
        elif isinstance(event, Bitfield | HaveAll):
            self._connection.interested()

    def _greet(self) -> None:
        if self._transport.ready and not self._spoke:
            self._spoke = True
            opening.speak(self._connection, PieceSet(self._layout.piece_count))

    def _say(self) -> None:
        if not self._transport.ready:
            return
        self._greet()
        self._ask()
        buffers = self._connection.data_to_send()
        if buffers:
            self._put(self._transport.send(b"".join(buffers)))
        self._put(self._transport.flush())

    def _ask(self) -> None:
        connection, known = self._connection, self._connection.peer_pieces
        if known is None or not connection.am_interested or self.served.done():
            return
        allowed = connection.allowed_while_choked if connection.peer_choking else range(ASKED_BLOCKS)
        for index in list(allowed)[: ASKED_BLOCKS - len(connection.requested)]:
            if index in known:
                connection.request(self._layout.block(index, 0))

    def _done(self, future: asyncio.Future[float]) -> None:
        if not future.done():
            future.set_result(time.monotonic() - self._began_s)

    def _put(self, wire: bytes) -> None:
        if wire and self._socket is not None:
            self._socket.write(wire)
