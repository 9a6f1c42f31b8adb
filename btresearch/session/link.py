"""A socket joined to a transport: wire bytes below, application bytes above, backpressure both ways."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import struct
import time
from collections.abc import Callable, Sequence
from typing import Literal, Protocol, cast

from btresearch.peer.address import Address
from btresearch.transport import ProtocolError, Transport
from btresearch.transport.btls import Initiator, Query, Responder

# Enough that a bulk sender never lets the kernel run dry between two wake-ups of the loop.
HIGH_WATER_BYTES, LOW_WATER_BYTES = 512 * 1024, 128 * 1024

# A peer that asks and does not read: beyond this it is hung up on.
MAX_BUFFERED_BYTES = 32 << 20
# What is buffered at the end has so long to leave.
GOODBYE_LIMIT_S = 10.0
# Level Full: from the proof to both authenticators (protocol.md).
EXCHANGE_LIMIT_S = 10.0
EXPIRY_CHECK_S = 60.0

# What OpenSSL takes from the kernel at once: the largest record.
TLS_READ_BYTES = 16709

Direction = Literal["in", "out"]
Tap = Callable[[int, Direction, bytes], None]
"""`tap(t_ns, direction, wire)` sees every socket read and write; t_ns is time.time_ns()."""

log = logging.getLogger(__name__)


class Owner(Protocol):
    """Who reads the application bytes."""

    def on_ready(self) -> None:
        """The transport's handshake is over: application bytes may flow."""

    def on_data(self, data: bytes) -> None:
        """Application bytes came."""

    def on_writable(self) -> None:
        """The socket's buffer has room again."""

    def on_lost(self, reason: str) -> None:
        """The connection is over; called once."""


class Link(asyncio.Protocol):
    """One connection. `writable` says whether `send` should be called now.

    `coalesces` is False where every message is to be a write of its own, for the record sizes to show it.
    """

    def __init__(self, transport: Transport, *, tap: Tap | None = None, owner: Owner | None = None) -> None:
        self.transport = transport
        self.owner = owner
        self.writable = True
        self.closing = False
        self.coalesces = True
        self.on_end: Callable[[], None] | None = None  # in place of hanging up when the peer is done sending
        self.heard_ns = time.monotonic_ns()
        self.remote_address = Address("", 0)
        self.local_host = ""
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tap = tap
        self._socket: asyncio.Transport | None = None
        self._was_ready = self._heard_end = False
        self._burst_bytes = 0
        self._search: asyncio.Task[None] | None = None
        self._limit_timer: asyncio.TimerHandle | None = None
        self._reason = "closed by the peer"

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Configure the socket and send the initiator's first bytes."""
        self._socket = cast("asyncio.Transport", transport)
        if self.closing:  # dropped while it was being dialled
            self._socket.abort()
            return
        self._socket.set_write_buffer_limits(high=HIGH_WATER_BYTES, low=LOW_WATER_BYTES)
        with contextlib.suppress(OSError):
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer = transport.get_extra_info("peername") or ("", 0)
        self.remote_address = Address.of(peer[0], peer[1])
        own = transport.get_extra_info("sockname") or ("", 0)
        self.local_host = Address.of(own[0], own[1]).host
        self._guard(self._start)

    def data_received(self, data: bytes) -> None:
        """Decrypt, answer, hand up."""
        self.heard_ns, self._burst_bytes = time.monotonic_ns(), len(data)
        if self._tap is not None:
            self._tap(time.time_ns(), "in", data)
        if not self.closing:
            self._guard(lambda: self._receive(data))

    def pause_writing(self) -> None:
        """The socket's buffer is full."""
        self.writable = False

    def resume_writing(self) -> None:
        """It has drained."""
        self.writable = True
        if self.owner is not None and not self.closing:
            self.owner.on_writable()

    def eof_received(self) -> bool:
        """The peer is done sending: so are we, once it has its answer."""
        self._heard_end = True
        if self.on_end is not None and not self.closing:
            self.on_end()
            return True
        return self._searching

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the owner, once."""
        if not self.gone.done():
            self.gone.set_result(None)
        if self._limit_timer is not None:
            self._limit_timer.cancel()
        with contextlib.suppress(ProtocolError):
            self.transport.close()  # nobody hears it; it drops what the transport remembers of the connection
        if exc is not None and not self.closing:
            self._reason = f"{exc.strerror or exc}" if isinstance(exc, OSError) else str(exc)
        self.closing = True
        owner, self.owner = self.owner, None
        if owner is not None:
            owner.on_lost(self._reason)

    # for the owner

    @property
    def connected(self) -> bool:
        """Whether there is a socket."""
        return self._socket is not None

    def send(self, buffers: Sequence[bytes | memoryview]) -> None:
        """Application bytes, coalesced into one call of the transport."""
        if buffers and not self.closing:
            self._guard(lambda: self._put(self.transport.send(b"".join(buffers))))

    def flush(self) -> None:
        """Nothing more is coming for now: let go of what the shape holds back."""
        if not self.closing:
            self._guard(lambda: self._put(self.transport.flush()))

    def pause_reading(self) -> None:
        """Let TCP push back on the peer."""
        if self._socket is not None and not self.closing:
            self._socket.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        if self._socket is not None and not self.closing:
            self._socket.resume_reading()

    def close(self, reason: str, *, goodbye: bytes = b"", linger_s: float = 0.0) -> None:
        """Say goodbye and hang up once what is buffered has left.

        `linger_s`: end our half first and go on reading for so long, because what the peer sent and nobody read
        would make the close a reset, which may take the goodbye with it.
        """
        if self.closing:
            return
        if goodbye:
            self._put(goodbye)
        else:
            with contextlib.suppress(ProtocolError):
                self._put(self.transport.close())
        self.closing, self._reason = True, reason
        if self._socket is not None:
            if linger_s and not self._socket.get_write_buffer_size():
                _end_half(self._socket)
                asyncio.get_running_loop().call_later(linger_s, self._socket.close)
            else:
                self._socket.close()
            # A peer that never reads would hold the socket, and what is buffered, for ever.
            asyncio.get_running_loop().call_later(GOODBYE_LIMIT_S, self._socket.abort)

    def abort(self, reason: str) -> None:
        """Hang up now; what is buffered is lost."""
        if not self.closing:
            self._reason = reason
        self.closing = True
        if self._socket is not None:
            self._socket.abort()

    def _start(self) -> None:
        self._put(self.transport.start())
        self._check_ready()

    def _receive(self, data: bytes) -> None:
        self._take(*self.transport.receive(data))
        responder = self.transport
        if isinstance(responder, Responder) and responder.query is not None and not self._searching:
            self._search = asyncio.get_running_loop().create_task(self._look_up(responder, responder.query))

    async def _look_up(self, responder: Responder, query: Query) -> None:
        """Off the event loop (protocol.md, step 2); hit and miss take the same way."""
        key = await asyncio.to_thread(responder.search, query)
        self._search = None
        if not self.closing:
            self._guard(lambda: self._take(*responder.resolve(key)))
        if self._heard_end:
            self.close("closed by the peer")

    @property
    def _searching(self) -> bool:
        return self._search is not None

    def _take(self, app: bytes, reply: bytes) -> None:
        self._put(reply)
        self._check_ready()
        if app and self.owner is not None and not self.closing:
            self.owner.on_data(app)
        if getattr(self.transport, "closed", False):  # close_notify: a web server hangs up, too
            (self.on_end or (lambda: self.close("closed by the peer")))()

    def _check_ready(self) -> None:
        self._limit()
        if not self._was_ready and self.transport.ready and self.owner is not None:
            self._was_ready = True
            self.owner.on_ready()

    def _limit(self) -> None:
        """Level Full: the exchange has its time, and the connection ends with the peer's certificate."""
        transport = self.transport
        if not isinstance(transport, Initiator | Responder):
            return
        if transport.exchanging and self._limit_timer is None:
            self._limit_after(EXCHANGE_LIMIT_S, self.close, "no proof of membership in time")
        elif transport.ready and not self._was_ready and transport.expires_s is not None:
            self._end_with(transport.expires_s)

    def _end_with(self, expires_s: float) -> None:
        """Looked at again and again: the loop's clock stands still while the machine is suspended."""
        left_s = expires_s - time.time()
        if left_s > 0:
            self._limit_after(min(left_s, EXPIRY_CHECK_S), self._end_with, expires_s)
        else:
            self.close("the peer's certificate has expired")

    def _limit_after(self, pause_s: float, act: Callable[..., None], *what: object) -> None:
        if self._limit_timer is not None:
            self._limit_timer.cancel()
        self._limit_timer = asyncio.get_running_loop().call_later(pause_s, act, *what)

    def _guard(self, step: Callable[[], None]) -> None:
        try:
            step()
        except ProtocolError as error:
            stranger = isinstance(self.transport, Responder) and not self.transport.ready
            if stranger and self._burst_bytes > TLS_READ_BYTES and self._socket is not None:
                _reset_at_close(self._socket)
            self.close(str(error), goodbye=getattr(error, "goodbye", b"") or b"")

    def _put(self, wire: bytes) -> None:
        if not wire or self._socket is None:
            return
        if self._tap is not None:
            self._tap(time.time_ns(), "out", wire)
        self._socket.write(wire)
        if self._socket.get_write_buffer_size() > MAX_BUFFERED_BYTES:
            self.abort("asks and does not read")


def _end_half(transport: asyncio.Transport) -> None:
    """FIN at once. On a duplicate, because uvloop's sockets have no shutdown."""
    with (
        contextlib.suppress(OSError),
        socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno())) as same,
    ):
        same.shutdown(socket.SHUT_WR)


def _reset_at_close(transport: asyncio.Transport) -> None:
    """A web server reads record by record: of junk that is longer it leaves the rest unread, and so resets."""
    with contextlib.suppress(OSError):
        transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
