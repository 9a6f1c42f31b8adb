"""Cover: aiohttp as a client that downloads, chats over a WebSocket, or holds long polls."""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections.abc import Awaitable, Callable

import aiohttp

from btresearch.lab.actors import asyncmain, objects, report

TASK = report.task() if __name__ == "__main__" else {}


async def _get(session: aiohttp.ClientSession, path: str, size: int) -> None:
    async with session.get(path, server_hostname=TASK["site"]["host"]) as response:
        objects.check(size, await response.read())


async def download(session: aiohttp.ClientSession, steps: asyncmain.Steps) -> None:
    """Fetch objects one after the other."""
    for step in steps:
        await asyncio.sleep(step["wait_ms"] / 1000)
        await _get(session, f"/o/{step['down_bytes']}", step["down_bytes"])


async def long_poll(session: aiohttp.ClientSession, steps: asyncmain.Steps) -> None:
    """Ask, and let the server hold each answer back."""
    for step in steps:
        await _get(session, f"/p/{step['wait_ms']}/{step['down_bytes']}", step["down_bytes"])


async def websocket(session: aiohttp.ClientSession, steps: asyncmain.Steps) -> None:
    """Exchange short messages."""
    async with session.ws_connect("/chat", server_hostname=TASK["site"]["host"]) as chat:
        for step in steps:
            await asyncio.sleep(step["wait_ms"] / 1000)
            await chat.send_bytes(struct.pack(">I", step["down_bytes"]) + objects.body(step["up_bytes"]))
            objects.check(step["down_bytes"], await chat.receive_bytes())


BEHAVIOURS: dict[str, Callable[[aiohttp.ClientSession, asyncmain.Steps], Awaitable[None]]] = {
    "download": download,
    "long_poll": long_poll,
    "websocket": websocket,
}


async def flow(steps: asyncmain.Steps) -> None:
    """Do the steps over one connection."""
    peer, host = TASK["peer"], TASK["site"]["host"]
    connector = aiohttp.TCPConnector(limit=1, ssl=asyncmain.client_tls(TASK))
    async with aiohttp.ClientSession(
        f"https://{peer['address']}:{peer['port']}", connector=connector, headers={"Host": host}
    ) as session:
        await BEHAVIOURS[TASK["behaviour"]](session, steps)


if __name__ == "__main__":
    asyncmain.run_flows(
        TASK, flow, program="aiohttp", version=aiohttp.__version__, tls_library=ssl.OPENSSL_VERSION
    )
