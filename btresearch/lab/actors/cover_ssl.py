"""Cover: the standard library's TLS client, calling (`rpc`) or exchanging chunks in both directions (`sync`)."""

from __future__ import annotations

import asyncio
import platform
import ssl

from btresearch.lab.actors import asyncmain, objects, report
from btresearch.lab.actors.cover_ssl_server import HEADER

TASK = report.task() if __name__ == "__main__" else {}


async def flow(steps: asyncmain.Steps) -> None:
    """Do the steps of one connection."""
    site = TASK["site"]
    peer = TASK["peer"]
    reader, writer = await asyncio.open_connection(
        peer["address"],
        peer["port"],
        ssl=asyncmain.client_tls(TASK),
        server_hostname=site["host"],
        limit=1 << 20,
    )
    for step in steps:
        await asyncio.sleep(step["wait_ms"] / 1000)
        writer.write(HEADER.pack(step["up_bytes"], step["down_bytes"]) + objects.body(step["up_bytes"]))
        await writer.drain()
        objects.check(step["down_bytes"], await reader.readexactly(step["down_bytes"]))
    writer.close()
    await writer.wait_closed()


if __name__ == "__main__":
    asyncmain.run_flows(
        TASK, flow, program="python-ssl", version=platform.python_version(), tls_library=ssl.OPENSSL_VERSION
    )
