"""A TCP connection of which every byte and the way it ended are kept."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import cast

from btresearch.errors import BtresearchError
from btresearch.peer.address import Address
from btresearch.probe.observation import when

CONNECT_S = 10.0
QUIET_S = 0.25
"""After this long without a byte an answer is taken as whole."""
TURN_S = 5.0
"""How long an answer may take to begin."""
MAX_KEPT_BYTES = 4 << 20


class ProbeError(BtresearchError):
    """A host that can't be visited."""


class Cable(asyncio.Protocol):
    """`received` since the start; `end` is FIN, RST or "" while open; `ended_s` is monotonic."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.end, self.ended_s, self.heard_s = "", 0.0, time.monotonic()
        self.on_data: Callable[[bytes], None] = lambda data: None
        self._changed = asyncio.Event()
        self._lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self._socket = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Keep it."""
        self.heard_s = time.monotonic()
        if len(self.received) < MAX_KEPT_BYTES:
            self.received += data
        self.on_data(data)
        self._changed.set()

    def eof_received(self) -> bool:
        """A FIN; our half stays open."""
        self._finish("FIN")
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """A reset, or the end of what `close` began."""
        self._lost = True
        self._finish("RST" if exc is not None else "FIN")

    def write(self, wire: bytes) -> None:
        """Send, if there is anybody left to send to."""
        if wire and not self._lost:
            self._socket.write(wire)

    def half_close(self) -> None:
        """Send a FIN."""
        if not self._lost:
            self._socket.write_eof()

    async def turn(self, patience_s: float = TURN_S) -> None:
        """Wait for bytes, then for quiet; or for the end."""
        before = len(self.received)
        await self._wait(lambda: len(self.received) > before, patience_s)
        while not self.end and time.monotonic() - self.heard_s < QUIET_S:
            await asyncio.sleep(QUIET_S / 4)

    async def until_end(self, patience_s: float) -> str:
        """Wait for the end, at most until `patience_s` have passed; describe it."""
        began_s = time.monotonic()
        await self._wait(lambda: bool(self.end), patience_s)
        return f"{self.end} {when(self.ended_s - began_s)}" if self.end else "open"

    async def _wait(self, happened: Callable[[], bool], patience_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                while not happened() and not self.end:
                    self._changed.clear()
                    await self._changed.wait()

    def _finish(self, how: str) -> None:
        if not self.end:
            self.end, self.ended_s = how, time.monotonic()
        self._changed.set()


@contextlib.asynccontextmanager
async def connected(address: Address) -> AsyncIterator[Cable]:
    """A connection for the block. Raises ProbeError."""
    try:
        async with asyncio.timeout(CONNECT_S):
            socket, cable = await asyncio.get_running_loop().create_connection(
                Cable, address.host, address.port
            )
    except (OSError, TimeoutError) as error:
        raise ProbeError(f"{address}: can't connect: {error or 'timed out'}") from error
    try:
        yield cable
    finally:
        socket.abort()
