"""A link over a socket pair: coalescing, readiness, goodbyes, backpressure, the tap."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from btresearch.session import link as module
from btresearch.session.link import HIGH_WATER_BYTES, Link
from btresearch.transport import Clear, RemoteProtocolError


class Recorder:
    """An owner that writes down what happens."""

    def __init__(self) -> None:
        self.events: list[object] = []

    def on_ready(self) -> None:
        self.events.append("ready")

    def on_data(self, data: bytes) -> None:
        self.events.append(data)

    def on_writable(self) -> None:
        self.events.append("writable")

    def on_lost(self, reason: str) -> None:
        self.events.append(("lost", reason))


class Sealed(Clear):
    """Not ready before the first byte; refuses b"bad" with a goodbye; holds back until flushed."""

    ready = False
    held = b""

    def receive(self, wire: bytes | bytearray | memoryview) -> tuple[bytes, bytes]:
        self.ready = True
        if wire == b"bad":
            raise RemoteProtocolError("no good", goodbye=b"alert")
        return bytes(wire), b"ack"

    def send(self, app: bytes | bytearray | memoryview) -> bytes:
        self.held += bytes(app)
        return b""

    def flush(self) -> bytes:
        held, self.held = self.held, b""
        return held

    def close(self) -> bytes:
        return b"bye"


def _run(
    body: Callable[[Link, Recorder, socket.socket], Awaitable[None]],
    transport: Clear,
    tapped: list[tuple[str, bytes]] | None = None,
) -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        owner = Recorder()
        seen = [] if tapped is None else tapped
        link = Link(transport, owner=owner, tap=lambda t_ns, way, wire: seen.append((way, wire)))
        await asyncio.get_running_loop().create_connection(lambda: link, sock=ours)
        try:
            await body(link, owner, theirs)
        finally:
            theirs.close()
            link.abort("end")
            await link.gone

    asyncio.run(main())


async def _read(theirs: socket.socket) -> bytes:
    return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(theirs, 1 << 20), 2)


async def _write(theirs: socket.socket, data: bytes) -> None:
    await asyncio.get_running_loop().sock_sendall(theirs, data)
    await asyncio.sleep(0.02)


def test_clear_is_ready_at_once_and_coalesces() -> None:
    tapped: list[tuple[str, bytes]] = []

    async def body(link: Link, owner: Recorder, theirs: socket.socket) -> None:
        assert owner.events == ["ready"]
        link.send([b"a", memoryview(b"bc"), b"d"])
        assert await _read(theirs) == b"abcd"
        await _write(theirs, b"answer")
        assert owner.events == ["ready", b"answer"]

    _run(body, Clear(), tapped)
    assert tapped == [("out", b"abcd"), ("in", b"answer")]


def test_readiness_reply_and_flush_of_a_shape() -> None:
    async def body(link: Link, owner: Recorder, theirs: socket.socket) -> None:
        assert owner.events == []
        await _write(theirs, b"hello")
        assert owner.events == ["ready", b"hello"]
        assert await _read(theirs) == b"ack"
        link.send([b"held"])
        link.flush()
        assert await _read(theirs) == b"held"

    _run(body, Sealed())


def test_broken_transport_says_goodbye_and_closes() -> None:
    async def body(link: Link, owner: Recorder, theirs: socket.socket) -> None:
        await _write(theirs, b"bad")
        assert await _read(theirs) == b"alert"
        assert await _read(theirs) == b""
        assert owner.events == [("lost", "no good")]

    _run(body, Sealed())


def test_orderly_close() -> None:
    async def body(link: Link, owner: Recorder, theirs: socket.socket) -> None:
        link.close("enough")
        link.close("twice")
        link.send([b"too late"])
        assert await _read(theirs) == b"bye"
        await link.gone
        assert owner.events == [("lost", "enough")]

    _run(body, Sealed())


def test_peer_that_hangs_up() -> None:
    async def body(link: Link, owner: Recorder, theirs: socket.socket) -> None:
        theirs.close()
        await link.gone
        assert owner.events[-1] == ("lost", "closed by the peer")

    _run(body, Clear())


def test_full_socket_is_not_written_to() -> None:
    async def body(link: Link, owner: Recorder, theirs: socket.socket) -> None:
        sent = 0
        while link.writable:
            link.send([bytes(65536)])
            sent += 65536
            assert sent < 64 << 20
        assert sent > HIGH_WATER_BYTES
        got = 0
        while got < sent:
            got += len(await _read(theirs))
        await asyncio.sleep(0.02)
        assert link.writable
        assert owner.events == ["ready", "writable"]

    _run(body, Clear())


def test_link_dropped_while_it_was_dialled_never_speaks() -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair()
        link = Link(Sealed(), owner=Recorder())
        link.close("changed our mind")
        await asyncio.get_running_loop().create_connection(lambda: link, sock=ours)
        await link.gone
        theirs.setblocking(False)
        assert await _read(theirs) == b""
        theirs.close()

    asyncio.run(main())


def test_a_certificate_that_expires_while_the_machine_sleeps_ends_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_s = [1000.0]
    monkeypatch.setattr(module, "EXPIRY_CHECK_S", 0.02)
    monkeypatch.setattr("time.time", lambda: now_s[0])

    async def body(link: Link, owner: Recorder, peer: socket.socket) -> None:
        link._end_with(now_s[0] + 3600)
        await asyncio.sleep(0.1)
        assert not link.closing
        now_s[0] += 3600  # the loop's clock saw a moment
        await asyncio.wait_for(link.gone, 2)
        assert ("lost", "the peer's certificate has expired") in owner.events

    _run(body, Clear())
