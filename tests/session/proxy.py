"""A middle between two ends: passes on, drops, resets, or kills what begins like TLS."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from tests.session.swarming import HOST

Verdict = Callable[[bytes], bool]
"""Whether a connection that begins like this is let through."""


def no_tls(first: bytes) -> bool:
    return first[:1] != b"\x16"


@dataclass
class Middle:
    port: int = 0
    firsts: list[bytes] = field(default_factory=list)
    """The first bytes of every connection."""


@contextlib.asynccontextmanager
async def middle(
    target: int, passes: Verdict = lambda first: True, *, resets: bool = True
) -> AsyncIterator[Middle]:
    """Connections to it reach port `target` if `passes`; the others are reset, or hear nothing."""
    seen, tasks = Middle(), set[asyncio.Task[None]]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await judge(reader, writer)
        finally:
            writer.transport.abort()

    async def judge(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.read(4096)
        seen.firsts.append(first)
        if passes(first):
            with contextlib.suppress(OSError):
                far_reader, far_writer = await asyncio.open_connection(HOST, target)
                try:
                    far_writer.write(first)
                    await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
                finally:
                    far_writer.transport.abort()
        elif resets:
            writer.transport.abort()
        else:
            await asyncio.sleep(3600)

    server = await asyncio.start_server(serve, HOST, 0)
    seen.port = server.sockets[0].getsockname()[1]
    try:
        yield seen
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # what was aborted is closed in the loop's next turn


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
