"""Running the session from a program that has no event loop: uvloop where installed, signals that end it in order."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, if the extra `fast` is installed; None means asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` to its end, in a process that has nothing else to do.

    SIGINT and SIGTERM cancel it, so that it can clean up.

    Raises KeyboardInterrupt after SIGINT and SystemExit(143) after SIGTERM.
    """
    _calm_collector()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(_ended_by_sigterm(main))


def _calm_collector() -> None:
    """A transfer makes many short-lived tuples and no cycles: look for cycles less often (a tenth of the time)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)


async def until_signal(work: Callable[[asyncio.Event], Coroutine[Any, Any, T]]) -> T:
    """Run `work(stop)`; SIGINT and SIGTERM set `stop`, for work that has no other end."""
    with _signals_set(asyncio.Event()) as stop:
        return await work(stop)


async def signalled() -> None:
    """Return at the next SIGINT or SIGTERM, which end nothing while this runs."""
    with _signals_set(asyncio.Event()) as stop:
        await stop.wait()


@contextmanager
def _signals_set(stop: asyncio.Event) -> Iterator[asyncio.Event]:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


async def _ended_by_sigterm(main: Coroutine[Any, Any, T]) -> T:
    task = asyncio.ensure_future(main)
    terminated = False

    def terminate() -> None:
        nonlocal terminated
        terminated = True
        task.cancel()

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminate)
    try:
        return await task
    except asyncio.CancelledError:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if terminated:
            sys.exit(128 + signal.SIGTERM)
        raise
