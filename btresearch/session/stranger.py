"""A connection that proved nothing, from its first byte for the web server on: answered here, or passed on."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import Protocol, cast

from btresearch.session.decoy import PHASE_LIMIT_S, Decoy
from btresearch.session.decoy_pages import page, response
from btresearch.session.decoy_site import DecoySite
from btresearch.session.link import Link, Tap

# What a stranger may send before the site is connected to; more waits in the kernel.
MAX_PENDING_BYTES = 256 * 1024
# For records that are on their way when we hang up.
UNREAD_S = 0.1
CONNECT_LIMIT_S = 60.0  # nginx: proxy_connect_timeout

log = logging.getLogger(__name__)


class Line(Protocol):
    """The stranger's connection, TLS or not, as seen from here."""

    @property
    def writable(self) -> bool:
        """Whether it takes more bytes now."""
        ...

    def write(self, data: bytes) -> None:
        """Application bytes for the stranger."""
        ...

    def pause(self) -> None:
        """Let TCP push back on the stranger."""
        ...

    def resume(self) -> None:
        """Read from the stranger again."""
        ...

    def finish(self, *, lingers: bool = False) -> None:
        """Say goodbye and hang up once all is sent; with `lingers`, read on for a moment."""
        ...

    def cut(self) -> None:
        """Hang up without a word."""
        ...


class Host(Protocol):
    """Who answers a stranger."""

    def receive(self, data: bytes) -> None:
        """The stranger said this."""
        ...

    def end(self) -> None:
        """The stranger is done sending."""
        ...

    def drained(self) -> None:
        """The line takes bytes again."""
        ...

    def leave(self) -> None:
        """The stranger has gone."""
        ...


class BuiltIn:
    """The decoy and its timers. `begun_s` (loop time) is when the connection came: the first head counts from it."""

    def __init__(self, line: Line, *, tls: bool, begun_s: float) -> None:
        self._line, self._decoy = line, Decoy(tls=tls)
        self._timer = asyncio.get_running_loop().call_at(begun_s + PHASE_LIMIT_S["head"], self._expire)

    def receive(self, data: bytes) -> None:
        """Answer, and start the clock of what is waited for next."""
        before = self._decoy.phase
        for answer in self._decoy.answers(data, now_s=time.time()):
            self._line.write(answer)
        if self._decoy.closed:
            self.leave()
            self._hang_up()
        elif self._decoy.phase != before or before != "head":
            self._timer.cancel()
            limit_s = PHASE_LIMIT_S[self._decoy.phase]
            self._timer = asyncio.get_running_loop().call_later(limit_s, self._expire)

    def end(self) -> None:
        """As nginx: whatever it was about, it is over."""
        self.leave()
        self._line.finish()

    def drained(self) -> None:
        """Answers are small."""

    def leave(self) -> None:
        """Nothing is waited for any more."""
        self._timer.cancel()

    def _hang_up(self) -> None:
        if self._decoy.silent:
            self._line.cut()
        else:
            self._line.finish(lingers=self._decoy.lingers)

    def _expire(self) -> None:
        """Nginx says close_notify to an idle connection, and nothing to one that is in the middle of something."""
        if self._decoy.phase == "keepalive":
            self._line.finish()
        else:
            self._line.cut()


class Relay(asyncio.Protocol):
    """Passes bytes to and from a site; each side is read only as fast as the other takes them."""

    def __init__(self, line: Line, site: DecoySite, *, raw: bool = False) -> None:
        self._line = line
        self._pending = bytearray()
        self._ended = self._over = False
        self._upstream: asyncio.Transport | None = None
        self._dial = asyncio.get_running_loop().create_task(self._connect(site, raw=raw))

    # towards the site

    def receive(self, data: bytes) -> None:
        """Pass it on, or keep it until the site is there."""
        if self._upstream is not None:
            self._upstream.write(data)
            return
        self._pending += data
        if len(self._pending) >= MAX_PENDING_BYTES:
            self._line.pause()

    def end(self) -> None:
        """The site hears of it, and may still answer."""
        self._ended = True
        if self._upstream is None:
            return
        if self._upstream.can_write_eof():
            self._upstream.write_eof()
        else:  # TLS has no half-close in asyncio
            self._line.finish()

    def drained(self) -> None:
        """Read from the site again."""
        if self._upstream is not None and not self._over:
            self._upstream.resume_reading()

    def leave(self) -> None:
        """The site need not go on."""
        self._over = True
        self._dial.cancel()
        if self._upstream is not None:
            self._upstream.close()

    # asyncio.Protocol: from the site

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hand over what waited."""
        self._upstream = cast("asyncio.Transport", transport)
        if self._over:
            self._upstream.abort()
            return
        self._upstream.write(bytes(self._pending))
        self._pending.clear()
        self._line.resume()
        if self._ended:
            self.end()

    def data_received(self, data: bytes) -> None:
        """Pass it back."""
        if not self._over:
            self._line.write(data)
            if not self._line.writable and self._upstream is not None:
                self._upstream.pause_reading()

    def pause_writing(self) -> None:
        """The site is slower than the stranger."""
        self._line.pause()

    def resume_writing(self) -> None:
        """It has caught up."""
        self._line.resume()

    def connection_lost(self, exc: Exception | None) -> None:
        """The site hung up: so do we."""
        if not self._over:
            self._over = True
            self._line.finish()

    async def _connect(self, site: DecoySite, *, raw: bool) -> None:
        try:
            async with asyncio.timeout(CONNECT_LIMIT_S):
                await site.connect(lambda: self, raw=raw)
        except (OSError, TimeoutError) as error:
            log.warning("decoy %s:%d: can't connect: %s", site.host, site.port, error or "timed out")
            if not self._over:
                self._over = True
                status = "502 Bad Gateway"
                self._line.write(response(status, page(status), now_s=time.time(), keep_alive=False))
                self._line.finish()


def entertain(line: Line, site: DecoySite | None, *, tls: bool, begun_s: float) -> Host:
    """The one who answers. A site without TLS says nothing of what it would do with plain bytes on a TLS port."""
    if site is None or not (tls or site.tls):
        return BuiltIn(line, tls=tls, begun_s=begun_s)
    return Relay(line, site, raw=not tls)


class LinkLine:
    """A `Line` inside TLS."""

    def __init__(self, link: Link) -> None:
        self._link = link

    @property
    def writable(self) -> bool:
        """Whether the socket takes more bytes now."""
        return self._link.writable

    def write(self, data: bytes) -> None:
        """Application bytes for the stranger."""
        if data:
            self._link.send([data])

    def pause(self) -> None:
        """Let TCP push back on the stranger."""
        self._link.pause_reading()

    def resume(self) -> None:
        """Read from the stranger again."""
        self._link.resume_reading()

    def finish(self, *, lingers: bool = False) -> None:
        """Close_notify and FIN. Nginx does not linger over TLS, but it reads faster than we do."""
        self._link.close("decoy is done", linger_s=UNREAD_S)

    def cut(self) -> None:
        """FIN alone."""
        self._link.abort("decoy waited for too long")


class SocketLine:
    """A `Line` without TLS."""

    def __init__(self, socket: asyncio.Transport, tap: Tap | None) -> None:
        self._socket, self._tap = socket, tap
        self.writable, self.finished = True, False

    def write(self, data: bytes) -> None:
        """Application bytes for the stranger."""
        if data and self._tap is not None:
            self._tap(time.time_ns(), "out", data)
        if data:
            self._socket.write(data)

    def pause(self) -> None:
        """Let TCP push back on the stranger."""
        self._socket.pause_reading()

    def resume(self) -> None:
        """Read from the stranger again."""
        self._socket.resume_reading()

    def finish(self, *, lingers: bool = False) -> None:
        """Hang up once all is sent. Lingering, our half is closed first, so that nothing is reset."""
        self.finished = True
        if not lingers:
            self._socket.close()
            return
        with contextlib.suppress(OSError, RuntimeError):  # the stranger has gone meanwhile
            self._socket.write_eof()
        asyncio.get_running_loop().call_later(PHASE_LIMIT_S["body"], self._socket.abort)

    def cut(self) -> None:
        """Hang up without a word."""
        self._socket.abort()
