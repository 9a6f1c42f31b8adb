"""The asyncio runtime: the only place with sockets, a clock and entropy.

    async with TrackerServer() as tracker:
        seeding = asyncio.create_task(seed(torrent, "photos/", port=6881))
        result = await get(torrent, "out/", peers=[("127.0.0.1", 6881)], transports=["btls_basic"])

`seed` and `get` run inside any event loop, a notebook's too, and clean up when they are cancelled.
"""

from __future__ import annotations

from btresearch.peer.address import Address
from btresearch.session.errors import StorageError, TrackerError
from btresearch.session.link import Tap
from btresearch.session.membership import Access, Membership
from btresearch.session.policy import DEFAULT_TRANSPORTS, SHAPES, TLS_POLICIES, Policy
from btresearch.session.tracker_server import TrackerServer
from btresearch.session.transfer import GetResult, Progress, SeedResult, get, seed

__all__ = [
    "DEFAULT_TRANSPORTS",
    "SHAPES",
    "TLS_POLICIES",
    "Access",
    "Address",
    "GetResult",
    "Membership",
    "Policy",
    "Progress",
    "SeedResult",
    "StorageError",
    "Tap",
    "TrackerError",
    "TrackerServer",
    "get",
    "seed",
]
