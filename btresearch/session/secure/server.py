"""The secure tracker: EST and announces over HTTPS, on one port.

async with SecureTracker(folder, host="127.0.0.1") as tracker:
    print(tracker.origin, tracker.ca.hex(), tracker.pin.hex())
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web

from btresearch.peer import Address
from btresearch.session.accounts import origin_of
from btresearch.session.secure import certificate, csr, reply
from btresearch.session.secure.announce import PATH, Announces
from btresearch.session.secure.authority import LIFE_S, Authority
from btresearch.session.secure.doorkeeper import Doorkeeper
from btresearch.session.secure.errors import MembersError
from btresearch.session.secure.est import Enrolment
from btresearch.session.secure.members import Members
from btresearch.session.secure.swarms import Swarms

CONNECTION_S = 60.0
"""After so long a connection is closed whatever it does: that is what ends a slow client's."""
HANDSHAKE_S = 10.0
LINGERING_S = 1.0
MAX_CONNECTIONS = 1000


class SecureTracker:
    """The server over one state folder; an async context manager."""

    def __init__(
        self,
        folder: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        chain: Path | None = None,
        key: Path | None = None,
        origin: str | None = None,
        interval_s: int = 120,
        life_s: int = LIFE_S,
        connection_s: float = CONNECTION_S,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self.host, self.port = host, port
        self._folder, self._files = folder, (chain, key)
        self._named_origin = origin and origin_of(origin)
        self._life_s, self._connection_s, self._now_s = life_s, connection_s, now_s
        self.ca = self.pin = b""
        self._swarms = Swarms(interval_s)
        self._members: Members | None = None
        self._runner: web.AppRunner | None = None
        self._listening: asyncio.Server | None = None

    @property
    def origin(self) -> str:
        """What accounts and `est` of info.tls name."""
        return self._named_origin or origin_of(f"https://{Address(self.host, self.port)}")

    @property
    def peers(self) -> int:
        """How many peers are announced, in all torrents."""
        return len(self._swarms)

    @property
    def url(self) -> str:
        """The announce URL."""
        return f"{self.origin}{PATH}"

    async def start(self) -> None:
        """Listen; afterwards `port`, `ca` (SPKI SHA-256 of the CA) and `pin` (of the server) are known.

        Raises MembersError for state or certificates that can't be used.
        """
        authority, context = await asyncio.to_thread(self._open)
        self._runner = web.AppRunner(
            self._app(authority),
            access_log=None,
            handle_signals=False,
            logger=reply.http_log(),
            lingering_time=LINGERING_S,
            shutdown_timeout=LINGERING_S,
        )
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        self._listening = await loop.create_server(
            self._accept, self.host, self.port, ssl=context, ssl_handshake_timeout=HANDSHAKE_S
        )
        self.port = self._listening.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening; the state stays in its folder."""
        if self._listening is not None:
            self._listening.close()
        if self._runner is not None:
            await self._runner.cleanup()
        if self._members is not None:
            self._members.close()
        self._listening = self._runner = self._members = None

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _open(self) -> tuple[Authority, ssl.SSLContext]:
        """Blocking: keys are made and files read."""
        self._members = Members(self._folder)
        now_s = int(self._now_s())
        authority = Authority.kept(self._folder, now_s=now_s)
        chain, key = self._files
        if chain is None or key is None:
            chain = key = certificate.kept(self._folder, self.host, now_s=now_s)
        context, self.pin = certificate.context(chain, key)
        self.ca = authority.pin
        return authority, context

    def _app(self, authority: Authority) -> web.Application:
        if self._members is None:
            raise MembersError("the secure tracker is not open")
        app = web.Application(client_max_size=csr.MAX_BODY_BYTES)
        app.on_response_prepare.append(_unnamed)
        doorkeeper = Doorkeeper(self._members)
        Enrolment(self._members, authority, doorkeeper, life_s=self._life_s, now_s=self._now_s).add_to(app)
        Announces(self._members, doorkeeper, self._swarms, now_s=self._now_s).add_to(app)
        return app

    def _accept(self) -> asyncio.BaseProtocol:
        server = self._runner.server if self._runner else None
        if server is None or len(server.connections) >= MAX_CONNECTIONS:
            return _TurnedAway()
        handler = server()
        asyncio.get_running_loop().call_later(self._connection_s, handler.force_close)
        return handler


async def _unnamed(_: web.Request, response: web.StreamResponse) -> None:
    """No name and version of the software: they would say which of its faults to try."""
    response.headers.popall("Server", None)


class _TurnedAway(asyncio.Protocol):
    """A connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()
