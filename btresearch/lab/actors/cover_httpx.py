"""Cover: httpx, loading pages over HTTP/2 (objects side by side) or uploading over HTTP/1.1."""

from __future__ import annotations

import asyncio
import ssl

import httpx

from btresearch.lab.actors import asyncmain, objects, report

TASK = report.task() if __name__ == "__main__" else {}


async def _get(client: httpx.AsyncClient, step: dict[str, int]) -> None:
    await asyncio.sleep(step["wait_ms"] / 1000)
    response = await client.get(f"/o/{step['down_bytes']}", extensions={"sni_hostname": TASK["site"]["host"]})
    objects.check(step["down_bytes"], response.content)


async def pages(client: httpx.AsyncClient, steps: asyncmain.Steps) -> None:
    """Load the page, then its objects side by side over the one connection."""
    await _get(client, steps[0])
    await asyncio.gather(*(_get(client, step) for step in steps[1:]))


async def upload(client: httpx.AsyncClient, steps: asyncmain.Steps) -> None:
    """Post one body after the other."""
    for step in steps:
        await asyncio.sleep(step["wait_ms"] / 1000)
        response = await client.post(
            f"/u/{step['down_bytes']}",
            content=objects.body(step["up_bytes"]),
            extensions={"sni_hostname": TASK["site"]["host"]},
        )
        if response.headers["X-Received"] != str(step["up_bytes"]):
            raise SystemExit(
                f"upload: the server got {response.headers['X-Received']} of {step['up_bytes']} bytes"
            )
        objects.check(step["down_bytes"], response.content)


async def flow(steps: asyncmain.Steps) -> None:
    """Do the steps over one connection."""
    peer, host = TASK["peer"], TASK["site"]["host"]
    async with httpx.AsyncClient(
        http2=TASK["behaviour"] == "pages",
        verify=asyncmain.client_tls(TASK),
        base_url=f"https://{peer['address']}:{peer['port']}",
        headers={"Host": host},
        limits=httpx.Limits(max_connections=1),
        timeout=TASK["timeout_s"],
        trust_env=False,
    ) as client:
        await {"pages": pages, "upload": upload}[TASK["behaviour"]](client, steps)


if __name__ == "__main__":
    asyncmain.run_flows(
        TASK, flow, program="httpx", version=httpx.__version__, tls_library=ssl.OPENSSL_VERSION
    )
