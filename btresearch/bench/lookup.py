"""How long it takes to find one torrent among many, and how long the event loop waits meanwhile."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from dataclasses import dataclass

from btresearch.transport.btls import Keyring, TorrentKey

TARGET_MS = 5.0
TICK_S = 0.001


@dataclass(frozen=True)
class Lookup:
    """Milliseconds: medians and the longest of `n` lookups; loop delays are what a 1 ms timer was late by.

    `loop_idle_max_ms` is the same timer without lookups.
    """

    torrents: int
    hit_ms: float
    miss_ms: float
    worst_ms: float
    loop_delay_ms: float
    loop_delay_max_ms: float
    loop_idle_max_ms: float
    table_s: float
    n: int
    met: bool


def run(*, torrents: int = 100_000, repeat: int = 200) -> Lookup:
    """Fill a keyring, then look up `repeat` torrents that are there and as many that are not, one at a time.

    The lookups run in a thread, as in a session; only one core is used.
    """
    began_s = time.perf_counter()
    keys = [TorrentKey.basic(os.urandom(20)) for _ in range(torrents)]
    ring = Keyring(keys)
    ring.lookup(bytes(16), bytes(16))  # builds the table
    table_s = time.perf_counter() - began_s
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        hits, misses, busy_ms, idle_ms = asyncio.run(_measure(ring, keys, repeat))
    finally:
        os.sched_setaffinity(0, cores)
    return Lookup(
        torrents=torrents,
        hit_ms=round(statistics.median(hits), 3),
        miss_ms=round(statistics.median(misses), 3),
        worst_ms=round(max(hits + misses), 3),
        loop_delay_ms=round(statistics.median(busy_ms), 3),
        loop_delay_max_ms=round(max(busy_ms), 3),
        loop_idle_max_ms=round(max(idle_ms), 3),
        table_s=round(table_s, 2),
        n=repeat,
        met=statistics.median(hits + misses) <= TARGET_MS,
    )


async def _measure(
    ring: Keyring, keys: list[TorrentKey], repeat: int
) -> tuple[list[float], list[float], list[float], list[float]]:
    idle_ms: list[float] = []
    ticker = asyncio.create_task(_tick(idle_ms))
    await asyncio.sleep(max(0.05, repeat * 2 * TICK_S))
    ticker.cancel()
    busy_ms: list[float] = []
    ticker = asyncio.create_task(_tick(busy_ms))
    hits, misses = [], []
    for number in range(repeat):
        key, K = keys[number * 7919 % len(keys)], os.urandom(16)
        hits.append(await asyncio.to_thread(_timed, ring, key.tag(K), K))
        misses.append(await asyncio.to_thread(_timed, ring, os.urandom(16), K))
    await asyncio.sleep(2 * TICK_S)
    ticker.cancel()
    return hits, misses, busy_ms, idle_ms


def _timed(ring: Keyring, tag: bytes, K: bytes) -> float:
    began_s = time.perf_counter()
    ring.lookup(tag, K)
    return (time.perf_counter() - began_s) * 1e3


async def _tick(late_ms: list[float]) -> None:
    while True:
        began_s = time.perf_counter()
        await asyncio.sleep(TICK_S)
        late_ms.append((time.perf_counter() - began_s - TICK_S) * 1e3)
