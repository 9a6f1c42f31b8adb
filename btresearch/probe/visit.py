"""The three kinds of probe: plain bytes, bytes inside TLS, and a procedure of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from btresearch.peer.address import Address
from btresearch.probe import http_answer, tls_answer
from btresearch.probe.cable import Cable, connected
from btresearch.probe.channel import Channel, Offer
from btresearch.probe.observation import Observation
from btresearch.probe.steps import Act, Pause, Raw, Step

QUICK_S = 1.2
"""How long a probe that expects no timeout waits for the end."""
LONG_S = 95.0
"""More than any of nginx's timeouts."""

ORDINARY = Offer()


class Probe(Protocol):
    """A row of the suite. `slow` ones wait for the server's timeouts and are left out of the quick set."""

    @property
    def name(self) -> str:
        """Unique in the suite."""
        ...

    @property
    def slow(self) -> bool:
        """It takes longer than 15 s."""
        ...

    async def visit(self, address: Address) -> Observation:
        """Go and see."""
        ...


@dataclass(frozen=True)
class Plain:
    """Bytes on the TCP connection, as they are: plain HTTP, BitTorrent, ClientHellos, junk."""

    name: str
    steps: tuple[Step, ...]
    slow: bool = False

    async def visit(self, address: Address) -> Observation:
        """Say it, and keep what comes back."""
        async with connected(address) as cable:
            await _perform(cable, None, self.steps)
            end = await cable.until_end(LONG_S if self.slow else QUICK_S)
            wire = bytes(cable.received)
            if tls_answer.looks_like_tls(wire):
                return Observation(records=tls_answer.describe(wire), end=end)
            return Observation(answers=http_answer.describe(wire), end=end)


@dataclass(frozen=True)
class Web:
    """Application data inside a TLS channel."""

    name: str
    steps: tuple[Step, ...]
    offer: Offer = ORDINARY
    slow: bool = False

    async def visit(self, address: Address) -> Observation:
        """Shake hands, say it, and keep what comes back."""
        async with connected(address) as cable:
            channel = Channel(cable, self.offer)
            if await channel.open():
                await settle(cable)
                await _perform(cable, channel, self.steps)
            end = await cable.until_end(LONG_S if self.slow else QUICK_S)
            return observed(channel, end)


@dataclass(frozen=True)
class Procedure:
    """Anything that takes more than one connection, or more than steps."""

    name: str
    go: Callable[[Address], Awaitable[Observation]]
    slow: bool = False

    async def visit(self, address: Address) -> Observation:
        """Go and see."""
        return await self.go(address)


def observed(channel: Channel, end: str, *more: str) -> Observation:
    """What a channel saw."""
    return Observation(
        tls=channel.describe() if channel.done else "",
        records=tls_answer.describe(bytes(channel.cable.received)),
        alerts=tuple(channel.alerts),
        answers=(*http_answer.describe(bytes(channel.app)), *more),
        end=end,
    )


async def settle(cable: Cable) -> None:
    """Let the tickets come."""
    await cable.turn(0.1)


async def _perform(cable: Cable, channel: Channel | None, steps: tuple[Step, ...]) -> None:
    for step in steps:
        match step:
            case Pause(seconds):
                await asyncio.sleep(seconds)
            case Raw(wire):
                cable.write(wire)
            case Act.TURN:
                await cable.turn()
            case Act.HALF_CLOSE:
                cable.half_close()
            case Act.CLOSE_NOTIFY:
                if channel is not None:
                    channel.close_notify()
            case bytes():
                (cable.write if channel is None else channel.send)(step)
        await asyncio.sleep(0)
