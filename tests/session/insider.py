"""Somebody who holds a torrent's secret, between two peers or in a peer's place, and says whatever he likes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from btresearch.transport.btls import OpenSslClient, TorrentKey
from btresearch.transport.btls.engine import TlsEngine, channel_secrets
from btresearch.transport.btls.hello import HEAD_BYTES, INITIATOR_PAD_BYTES, encode, total_bytes
from btresearch.transport.btls.keys import LID_BYTES, PROOF_BYTES, Role
from btresearch.transport.btls.server_openssl import accept
from tests.session.swarming import HOST
from tests.transport.pairs import identity

FLAGS_AT = LID_BYTES + PROOF_BYTES


@dataclass
class Channel:
    """One TLS connection of his, proven."""

    engine: TlsEngine
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def shake_hands(self) -> None:
        while not self.engine.handshake():
            self.send()
            self.engine.feed(await self._read())
        self.send()

    async def hear(self) -> bytes:
        """The next application bytes; b"" at the end."""
        while True:
            app = next(self.engine.records(), b"")
            if app or self.engine.closed:
                return app
            self.engine.feed(await self._read())

    def send(self, app: bytes = b"") -> None:
        if app:
            self.engine.write(app)
        self.writer.write(self.engine.drain())

    def prove(self, key: TorrentKey, role: Role) -> None:
        """With every flag set, which no proof covers."""
        said = bytearray(encode(key, role, channel_secrets(self.engine), INITIATOR_PAD_BYTES))
        said[FLAGS_AT] = 0xFF
        self.send(bytes(said))

    async def _read(self) -> bytes:
        if data := await self.reader.read(1 << 16):
            return data
        raise ConnectionResetError


async def dialled(port: int, key: TorrentKey) -> Channel:
    """As an initiator whose proof is out."""
    channel = Channel(OpenSslClient()(None), *await asyncio.open_connection(HOST, port))
    await channel.shake_hands()
    channel.prove(key, "initiator")
    return channel


@dataclass
class Insider:
    """What he saw: first bytes of connections, and everything that was said inside them."""

    port: int = 0
    firsts: list[bytes] = field(default_factory=list)
    heard: bytearray = field(default_factory=bytearray)
    ended: asyncio.Event = field(default_factory=asyncio.Event)


@contextlib.asynccontextmanager
async def insider(key: TorrentKey, target: int | None = None) -> AsyncIterator[Insider]:
    """Proves `key` to whoever dials him; passes on, to and from port `target`, what he reads, or is silent."""
    seen, tasks = Insider(), set[asyncio.Task[None]]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        near = Channel(accept(identity().context), reader, writer)
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await between(near)
        finally:
            writer.transport.abort()
            seen.ended.set()

    async def between(near: Channel) -> None:
        first = await near._read()
        seen.firsts.append(first)
        near.engine.feed(first)
        await near.shake_hands()
        await near.hear()
        near.prove(key, "responder")
        if target is None:
            await near.hear()
            return
        far = await dialled(target, key)
        try:
            answer = await far.hear()
            rest = answer[total_bytes(answer[:HEAD_BYTES]) :]
            pass_on(rest, near)
            await asyncio.gather(pump(near, far), pump(far, near))
        finally:
            far.writer.transport.abort()

    def pass_on(app: bytes, sink: Channel) -> None:
        seen.heard += app
        sink.send(app)

    async def pump(source: Channel, sink: Channel) -> None:
        while app := await source.hear():
            pass_on(app, sink)
        sink.writer.close()

    server = await asyncio.start_server(serve, HOST, 0)
    seen.port = server.sockets[0].getsockname()[1]
    try:
        yield seen
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)
