"""What a connection costs before the first block: CPU at each end, and round trips over a long way."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from btresearch.bench.delay import DelayRelay
from btresearch.bench.guest import Guest
from btresearch.bench.host import Host, Stock
from btresearch.bench.party import Party
from btresearch.transport import Transport

LEVELS = ("clear", "btls_basic", "btls_strict", "btls_full")
CPU_ONLY = ("mse_rc4", "ssl_torrent")
TARGET_CPU_MS = 5.0
TARGET_RTT = {"btls_basic": (2, 3), "btls_strict": (2, 3), "btls_full": (3, 4)}
"""Round trips to the responder's handshake and to the first block; TCP's own is not counted."""
HOST = "127.0.0.1"
TURNS = 40
WARM_UP = 3


@dataclass(frozen=True)
class Cost:
    """CPU milliseconds a connection at each end, the mean of `n`; round trips of `rtt_ms`, medians.

    Round trips are times after TCP was up, divided by the round trip; None where they are not measured.
    """

    transport: str
    initiator_cpu_ms: float
    responder_cpu_ms: float
    handshake_rtt: float | None
    first_block_rtt: float | None
    rtt_ms: float
    n: int
    met: bool | None


def run(
    *,
    levels: Sequence[str] = LEVELS,
    cpu_only: Sequence[str] = CPU_ONLY,
    rtt_s: float = 0.1,
    connections: int = 100,
    visits: int = 5,
) -> list[Cost]:
    """CPU over `connections` in memory, round trips over `visits` through a relay that adds `rtt_s`."""
    with tempfile.TemporaryDirectory(prefix="btresearch-bench-") as folder:
        stock = Stock.make(Path(folder))
        costs = [
            _cost(name, stock.party, connections, rtt_s, asyncio.run(_visits(name, stock, rtt_s, visits)))
            for name in levels
        ]
    return costs + [_cost(name, stock.party, connections, rtt_s, []) for name in cpu_only]


def cpu_ms(party: Party, transport: str, connections: int) -> tuple[float, float]:
    """CPU of both ends until both are ready."""
    spent = [0.0, 0.0]
    for number in range(WARM_UP + connections):
        if number == WARM_UP:
            spent = [0.0, 0.0]
        _connect(party.pair(transport), spent)
    return 1e3 * spent[0] / connections, 1e3 * spent[1] / connections


def _connect(ends: tuple[Transport, Transport], spent: list[float]) -> None:
    wire, side = b"", 0
    for turn in range(TURNS):
        began_s = time.process_time()
        if turn == 0:
            wire = ends[0].start()
        else:
            _, wire = ends[side].receive(wire)
            wire += ends[side].flush()
        spent[side] += time.process_time() - began_s
        side = 1 - side
        if not wire:
            break
    assert all(end.ready for end in ends), "the handshake did not end"


async def _visits(transport: str, stock: Stock, rtt_s: float, visits: int) -> list[tuple[float, float]]:
    async with (
        Host(stock, transport=transport) as host,
        DelayRelay(HOST, host.port, one_way_s=rtt_s / 2) as relay,
    ):
        return [await _visit(transport, stock, relay.port) for _ in range(visits)]


async def _visit(transport: str, stock: Stock, port: int) -> tuple[float, float]:
    loop = asyncio.get_running_loop()
    _, guest = await loop.create_connection(
        lambda: Guest(stock.party.initiator(transport), stock.infohash, stock.layout, HOST), HOST, port
    )
    try:
        async with asyncio.timeout(30):
            return await guest.greeted, await guest.served
    finally:
        await guest.leave()


def _cost(name: str, party: Party, connections: int, rtt_s: float, seen: list[tuple[float, float]]) -> Cost:
    ours = cpu_ms(party, name, connections)
    medians = [statistics.median(values) / rtt_s for values in zip(*seen, strict=True)] or [None, None]
    return Cost(
        transport=name,
        initiator_cpu_ms=round(ours[0], 3),
        responder_cpu_ms=round(ours[1], 3),
        handshake_rtt=None if medians[0] is None else round(medians[0], 2),
        first_block_rtt=None if medians[1] is None else round(medians[1], 2),
        rtt_ms=rtt_s * 1e3,
        n=connections,
        met=_met(name, ours, medians),
    )


def _met(name: str, cpu: tuple[float, float], trips: Sequence[float | None]) -> bool | None:
    """A round trip counts as such with half of one to spare: the rest is computing, and this machine's."""
    if name not in TARGET_RTT:
        return None
    allowed = zip(trips, TARGET_RTT[name], strict=True)
    return max(cpu) <= TARGET_CPU_MS and all(trip is None or trip < most + 0.5 for trip, most in allowed)
