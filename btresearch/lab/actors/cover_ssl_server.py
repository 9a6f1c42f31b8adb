"""A framed request-response protocol over the standard library's TLS; `cover_ssl` speaks it."""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from btresearch.lab.actors import asyncmain, objects, report

HEADER = struct.Struct(">II")  # bytes that follow, bytes wanted back
MAX_FRAME_BYTES = 1 << 30


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    report.flow("tcp", writer.get_extra_info("peername")[:2])
    try:
        while True:
            up, down = HEADER.unpack(await reader.readexactly(HEADER.size))
            await reader.readexactly(min(up, MAX_FRAME_BYTES))
            writer.write(objects.body(down))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


@asynccontextmanager
async def listening(task: dict[str, Any]) -> AsyncIterator[None]:
    """Listen for the length of the block."""
    tls = asyncmain.server_tls(task)
    server = await asyncio.start_server(_answer, task["address"], task["port"], ssl=tls, limit=1 << 20)
    yield
    server.close()


if __name__ == "__main__":
    asyncmain.serve(listening(report.task()), program="python-ssl", version=ssl.OPENSSL_VERSION.split()[1])
