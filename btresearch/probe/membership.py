"""What a prober that knows an infohash learns (level Basic): whether a host takes part in that torrent."""

from __future__ import annotations

import asyncio
from typing import Literal

from btresearch.errors import InputError
from btresearch.peer.address import Address
from btresearch.probe.cable import connected
from btresearch.probe.observation import Observation
from btresearch.probe.visit import Procedure
from btresearch.transport import ProtocolError
from btresearch.transport.btls import Initiator, OpenSslClient, TorrentKey

PATIENCE_S = 5.0

Membership = Literal["takes part", "web server", "silent"]


def parse_infohash(text: str) -> bytes:
    """20 or 32 bytes in hex. Raises InputError."""
    try:
        infohash = bytes.fromhex(text)
    except ValueError:
        infohash = b""
    if len(infohash) not in (20, 32):
        raise InputError("--infohash", "40 or 64 hexadecimal digits")
    return infohash


async def ask(address: Address, infohash: bytes) -> Membership:
    """Prove the Basic key of `infohash`, as any peer would, and hang up. Raises ProbeError."""
    async with connected(address) as cable:
        initiator = Initiator(TorrentKey.basic(infohash), client=OpenSslClient())
        verdict: list[Membership] = []

        def take(wire: bytes) -> None:
            try:
                cable.write(initiator.receive(wire)[1])
            except ProtocolError:  # no proof came back: what a web server says to a Hello
                verdict.append("web server")
                return
            if initiator.ready:
                verdict.append("takes part")

        cable.on_data = take
        cable.write(initiator.start())
        while not (verdict or cable.end):
            before = len(cable.received)
            await cable.turn(PATIENCE_S)
            await asyncio.sleep(0)
            if len(cable.received) == before:
                break
        return verdict[0] if verdict else "silent"


def asking(text: str) -> Procedure:
    """A probe for the suite, from an infohash in hex. Raises InputError."""
    infohash = parse_infohash(text)

    async def visit(address: Address) -> Observation:
        return Observation(answers=(await ask(address, infohash),))

    return Procedure(f"membership: {text}", visit)
