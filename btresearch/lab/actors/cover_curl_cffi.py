"""Cover: curl_cffi, which sends the TLS and HTTP/2 greetings of Chrome, Firefox or Safari."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import curl_cffi
from curl_cffi.requests import AsyncSession

from btresearch.lab.actors import asyncmain, objects, report

TASK = report.task() if __name__ == "__main__" else {}
BY_ADDRESS = "pages_by_address"


def _host() -> str:
    """What stands in the URL: the site's name, or its bare address (then the hello has no server name)."""
    return str(TASK["peer"]["address"] if TASK["behaviour"] == BY_ADDRESS else TASK["site"]["host"])


async def _get(session: Any, step: dict[str, int]) -> None:
    await asyncio.sleep(step["wait_ms"] / 1000)
    response = await session.get(f"https://{_host()}:{TASK['peer']['port']}/o/{step['down_bytes']}")
    objects.check(step["down_bytes"], response.content)


async def pages(session: Any, steps: asyncmain.Steps) -> None:
    """Load the page, then its objects side by side (over one connection where HTTP/2 was agreed)."""
    await _get(session, steps[0])
    await asyncio.gather(*(_get(session, step) for step in steps[1:]))


async def one_by_one(session: Any, steps: asyncmain.Steps) -> None:
    """Fetch objects one after the other."""
    for step in steps:
        await _get(session, step)


BEHAVIOURS: dict[str, Callable[[Any, asyncmain.Steps], Awaitable[None]]] = {
    "pages": pages,
    BY_ADDRESS: pages,
    "bulk": one_by_one,
    "segments": one_by_one,
}


async def flow(steps: asyncmain.Steps) -> None:
    """Do the steps with a browser's greetings."""
    peer, host = TASK["peer"], TASK["site"]["host"]
    options = {
        curl_cffi.CurlOpt.RESOLVE: [f"{host}:{peer['port']}:{peer['address']}"],
        curl_cffi.CurlOpt.PIPEWAIT: 1,  # share the HTTP/2 connection, as a browser does
    }
    async with AsyncSession(
        impersonate=TASK["browser"],
        # A certificate for a bare address is rare: whoever goes there has clicked the warning away.
        verify=False if TASK["behaviour"] == BY_ADDRESS else TASK["site"]["root"],
        curl_options=options,
        timeout=TASK["timeout_s"],
        trust_env=False,
    ) as session:
        await BEHAVIOURS[TASK["behaviour"]](session, steps)


if __name__ == "__main__":
    asyncmain.run_flows(
        TASK,
        flow,
        program=f"curl_cffi-{TASK['browser']}",
        version=curl_cffi.__version__,
        tls_library="BoringSSL",
    )
