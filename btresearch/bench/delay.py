"""A long way on one machine: a TCP relay that passes every byte on after a fixed time, each direction alike.

async with DelayRelay("127.0.0.1", port, one_way_s=0.05) as relay:
    connect to ("127.0.0.1", relay.port)

The bytes are late, not the connection: to a client TCP is up at once, as after its own SYN round trip.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self, cast

HIGH_WATER_BYTES = 4 << 20


class DelayRelay:
    """An async context manager; `one_way_s` is half the round trip that it adds."""

    def __init__(self, host: str, port: int, *, one_way_s: float) -> None:
        self.port = 0
        self.one_way_s = one_way_s
        self._target = host, port
        self._server: asyncio.Server | None = None
        self._sockets: set[asyncio.Transport] = set()
        self._dials: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _End(self, self._dial), self._target[0], 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._dials:
            task.cancel()
        for transport in list(self._sockets):
            transport.abort()
        # A dial that was cut off closes its socket when it is told so; an aborted one in the loop's next turn.
        await asyncio.gather(*self._dials, asyncio.sleep(0), return_exceptions=True)

    def entered(self, transport: asyncio.Transport) -> None:
        """A socket that goes when the relay goes."""
        transport.set_write_buffer_limits(high=HIGH_WATER_BYTES)
        self._sockets.add(transport)

    def left(self, transport: asyncio.Transport) -> None:
        """It is gone already."""
        self._sockets.discard(transport)

    def _dial(self, near: _End) -> None:
        task = asyncio.get_running_loop().create_task(self._join(near))
        self._dials.add(task)
        task.add_done_callback(self._dials.discard)

    async def _join(self, near: _End) -> None:
        far = _End(self, lambda _: None)
        try:
            await asyncio.get_running_loop().create_connection(lambda: far, *self._target)
        except OSError:
            near.abort()
            return
        near.other, far.other = far, near
        near.carry()


class _End(asyncio.Protocol):
    """One socket: what it reads leaves at the other end `one_way_s` later; b"" stands for its end."""

    def __init__(self, relay: DelayRelay, opened: Callable[[_End], None]) -> None:
        self.other: _End | None = None
        self._relay, self._opened = relay, opened
        self._socket: asyncio.Transport | None = None
        self._flying: deque[tuple[float, bytes]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._socket = cast("asyncio.Transport", transport)
        self._relay.entered(self._socket)
        self._opened(self)

    def data_received(self, data: bytes) -> None:
        self._flying.append((asyncio.get_running_loop().time() + self._relay.one_way_s, data))
        self.carry()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._socket is not None:
            self._relay.left(self._socket)
        self.data_received(b"")

    def carry(self) -> None:
        """Deliver what has been under way for long enough; come back for the rest."""
        if self.other is None or self._timer is not None:
            return
        loop = asyncio.get_running_loop()
        while self._flying and self._flying[0][0] <= loop.time():
            self.other.deliver(self._flying.popleft()[1])
        if self._flying:
            self._timer = loop.call_at(self._flying[0][0], self._again)

    def deliver(self, data: bytes) -> None:
        """Write what the other end has read; hang up when it has ended."""
        if self._socket is None or self._socket.is_closing():
            return
        if data:
            self._socket.write(data)
        else:
            self._socket.close()

    def abort(self) -> None:
        """Nobody is at the other end."""
        if self._socket is not None:
            self._socket.abort()

    def _again(self) -> None:
        self._timer = None
        self.carry()
