"""An HTTP/1.1 and WebSocket server over TLS (aiohttp) for downloads, uploads, long polls and chats."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web

from btresearch.lab.actors import asyncmain, objects, report

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def _claim(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Report each connection at its first request."""
    transport = request.transport
    claimed: set[tuple[str, int]] = request.app[CLAIMED]
    if transport is not None and (source := transport.get_extra_info("peername")[:2]) not in claimed:
        claimed.add(source)
        report.flow("tcp", source)
    return await handler(request)


CLAIMED: web.AppKey[set[tuple[str, int]]] = web.AppKey("claimed", set)


async def _object(request: web.Request) -> web.StreamResponse:
    return web.Response(body=objects.body(int(request.match_info["size"])))


async def _upload(request: web.Request) -> web.StreamResponse:
    received = await request.read()
    answer = objects.body(int(request.match_info["size"]))
    return web.Response(body=answer, headers={"X-Received": str(len(received))})


async def _poll(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(int(request.match_info["wait_ms"]) / 1000)
    return await _object(request)


async def _chat(request: web.Request) -> web.StreamResponse:
    socket = web.WebSocketResponse(compress=False)
    await socket.prepare(request)
    async for message in socket:
        if message.type == aiohttp.WSMsgType.BINARY:
            (wanted,) = struct.unpack_from(">I", message.data)
            await socket.send_bytes(objects.body(wanted))
    return socket


def application() -> web.Application:
    """The routes: objects, uploads, polls, chat."""
    app = web.Application(middlewares=[_claim], client_max_size=1 << 30)
    app[CLAIMED] = set()
    app.add_routes(
        [
            web.get("/o/{size:\\d+}", _object),
            web.post("/u/{size:\\d+}", _upload),
            web.get("/p/{wait_ms:\\d+}/{size:\\d+}", _poll),
            web.get("/chat", _chat),
        ]
    )
    return app


@asynccontextmanager
async def listening(task: dict[str, Any]) -> AsyncIterator[None]:
    """Listen for the length of the block."""
    runner = web.AppRunner(application(), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    tls = asyncmain.server_tls(task, ("http/1.1",))
    await web.TCPSite(runner, task["address"], task["port"], ssl_context=tls).start()
    yield
    await runner.cleanup()


if __name__ == "__main__":
    asyncmain.serve(listening(report.task()), program="aiohttp", version=aiohttp.__version__)
