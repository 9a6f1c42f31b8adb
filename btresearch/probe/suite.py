"""The whole suite and how it is run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from btresearch.peer.address import Address
from btresearch.probe import procedures, suite_http, suite_tls
from btresearch.probe.cable import connected
from btresearch.probe.observation import Observation
from btresearch.probe.report import Report
from btresearch.probe.visit import Probe

SUITE: tuple[Probe, ...] = (*suite_tls.PROBES, *suite_http.PROBES, *procedures.PROBES)
QUICK: tuple[Probe, ...] = tuple(probe for probe in SUITE if not probe.slow)
AT_ONCE = 24
"""Probes at the same time; fewer than a server's limit of strangers. The slow ones all wait together."""


async def run(
    address: Address, probes: Sequence[Probe] = QUICK, *, progress: Callable[[str], None] = lambda line: None
) -> Report:
    """Visit `address` with every probe. Raises ProbeError if nobody listens there."""
    async with connected(address):
        pass
    places = asyncio.Semaphore(AT_ONCE)
    done = 0

    async def visit(probe: Probe) -> Observation:
        nonlocal done
        if probe.slow:
            seen = await probe.visit(address)
        else:
            async with places:
                seen = await probe.visit(address)
        done += 1
        progress(f"{address}: {done} of {len(probes)} probes")
        return seen

    seen = await asyncio.gather(*(visit(probe) for probe in probes))
    return Report(str(address), dict(zip((probe.name for probe in probes), seen, strict=True)))
