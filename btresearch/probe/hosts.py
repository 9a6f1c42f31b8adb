"""Whom a probe may visit: a host of one's own."""

from __future__ import annotations

import asyncio
import ipaddress
import socket

from btresearch.errors import InputError
from btresearch.peer.address import Address

WHY = (
    "an address of this machine or a private network: probes act upon the host that they visit, so only one's "
    "own may be visited; say --mine if it is yours"
)


async def own(host: str, port: int, *, mine: bool = False) -> Address:
    """Resolve `host`; the address to visit. Raises InputError for a public one unless it is `mine`."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise InputError(host, "the name or address of a host") from error
    addresses = [str(entry[4][0]) for entry in found]
    if not mine and not all(_is_private(address) for address in addresses):
        raise InputError(host, WHY)
    return Address(addresses[0], port)


def _is_private(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    return (ip.is_private or ip.is_loopback or ip.is_link_local) and not ip.is_unspecified
