"""The frame of an asyncio actor: serve until stdin ends, or run every flow of a task side by side."""

from __future__ import annotations

import asyncio
import random
import ssl
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from btresearch.lab.actors import report

STAGGER_S = 0.15  # flows of one client start within this time, as a person's or a program's would
Steps = list[dict[str, int]]


def server_tls(task: dict[str, Any], alpn: tuple[str, ...] = ()) -> ssl.SSLContext:
    """TLS context of a server, from the task's certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(task["site"]["chain"], task["site"]["key"])
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def client_tls(task: dict[str, Any]) -> ssl.SSLContext:
    """TLS context of a client that trusts the lab's root and nothing else."""
    return ssl.create_default_context(cafile=task["site"]["root"])


def serve(listening: AbstractAsyncContextManager[Any], **facts: object) -> None:
    """Enter `listening`, report ready, and leave it when stdin ends."""

    async def run() -> None:
        async with listening:
            report.ready(**facts)
            await asyncio.to_thread(sys.stdin.read)

    asyncio.run(run())
    report.say("done")


def run_flows(task: dict[str, Any], flow: Callable[[Steps], Awaitable[None]], **facts: object) -> None:
    """Report ready, wait for `go`, and run `flow` once for each list of steps. The first failure ends it all."""
    report.ready(**facts)
    report.go()
    rng = random.Random(task["seed"])
    delays = [rng.uniform(0, STAGGER_S) for _ in task["flows"]]

    async def later(delay: float, steps: Steps) -> None:
        await asyncio.sleep(delay)
        await flow(steps)

    async def run() -> None:
        waiting = [later(delay, steps) for delay, steps in zip(delays, task["flows"], strict=True)]
        await asyncio.wait_for(asyncio.gather(*waiting), task["timeout_s"])

    asyncio.run(run())
    report.say("done")
