"""The relay that makes the way longer, and round trips to the first block over it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path

import pytest

from btresearch.bench.delay import DelayRelay
from btresearch.peer.handshake import Handshake
from btresearch.peer.messages import Piece
from btresearch.session.link import Link
from btresearch.session.remote import Remote
from tests.session.swarming import HOST, fetch, free_port, seeding, single

ONE_WAY_S = 0.05
SLACK_S = 0.08  # for a busy machine; less than a round trip, or one too many would pass


async def _end(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


def test_bytes_come_late_in_order_and_then_the_end() -> None:
    async def main() -> tuple[bytes, float]:
        over = asyncio.Event()

        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(1 << 16):
                writer.write(data)
            await _end(writer)
            over.set()

        server = await asyncio.start_server(echo, HOST, 0)
        async with server, DelayRelay(HOST, server.sockets[0].getsockname()[1], one_way_s=0.03) as relay:
            reader, writer = await asyncio.open_connection(HOST, relay.port)
            began_s = time.monotonic()
            for number in range(50):
                writer.write(bytes([number]) * 1000)
            echoed = await reader.readexactly(50_000)
            took_s = time.monotonic() - began_s
            await _end(writer)
            await asyncio.wait_for(over.wait(), 2.0)  # the end passes through the relay, too
            return echoed, took_s

    echoed, took_s = asyncio.run(main())
    assert echoed == b"".join(bytes([number]) * 1000 for number in range(50))
    assert 0.06 <= took_s < 0.06 + SLACK_S


def test_no_server_behind_it_hangs_up() -> None:
    async def main() -> bytes:
        async with DelayRelay(HOST, free_port(), one_way_s=0.01) as relay:
            reader, writer = await asyncio.open_connection(HOST, relay.port)
            try:
                return await asyncio.wait_for(reader.read(), 2.0)
            except ConnectionResetError:
                return b""
            finally:
                await _end(writer)

    assert asyncio.run(main()) == b""


@pytest.mark.slow
@pytest.mark.parametrize(("transport", "handshake", "block"), [("clear", 1, 2), ("btls_basic", 2, 3)])
def test_round_trips_to_handshake_and_first_block(
    transport: str, handshake: int, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = _watch(monkeypatch)
    content = single(tmp_path / "content")

    async def main() -> None:
        async with (
            seeding(content, transports=(transport,)) as seed,
            DelayRelay(HOST, seed.port, one_way_s=ONE_WAY_S) as relay,
        ):
            await fetch(content.torrent, tmp_path / "out", relay.port, transports=(transport,))

    asyncio.run(main())
    assert seen["handshake"] - seen["tcp"] < 2 * ONE_WAY_S * handshake + SLACK_S
    assert seen["block"] - seen["tcp"] < 2 * ONE_WAY_S * block + SLACK_S


def _watch(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """When the dialling end saw TCP, the handshake and a block first."""
    seen: dict[str, float] = {}
    made, handlers = Link.connection_made, dict(Remote._HANDLERS)

    def connection_made(link: Link, transport: asyncio.BaseTransport) -> None:
        if isinstance(link.owner, Remote):
            seen.setdefault("tcp", time.monotonic())
        made(link, transport)

    def noting(kind: type, name: str) -> None:
        def note(remote: Remote, event: object) -> None:
            if remote.connection.initiator:
                seen.setdefault(name, time.monotonic())
            handlers[kind](remote, event)

        monkeypatch.setitem(Remote._HANDLERS, kind, note)

    monkeypatch.setattr(Link, "connection_made", connection_made)
    noting(Handshake, "handshake")
    noting(Piece, "block")
    return seen
