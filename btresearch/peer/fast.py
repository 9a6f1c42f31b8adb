"""The allowed-fast set of BEP 6: pieces that a peer may fetch while it is choked."""

from __future__ import annotations

import hashlib
from ipaddress import IPv4Address

ALLOWED_FAST_COUNT = 10
"""BEP 6 suggests 10."""


def allowed_fast_set(
    infohash: bytes, address: IPv4Address, piece_count: int, count: int = ALLOWED_FAST_COUNT
) -> list[int]:
    """Up to `count` distinct piece indices for the peer at `address`, in the order of BEP 6.

    Only the first 24 bits of the address count, so that a user with many addresses gains nothing. BEP 6
    defines nothing for IPv6.
    """
    chosen: dict[int, None] = {}
    digest = address.packed[:3] + b"\x00" + infohash
    while len(chosen) < min(count, piece_count):
        digest = hashlib.sha1(digest, usedforsecurity=False).digest()
        for at in range(0, len(digest), 4):
            if len(chosen) == min(count, piece_count):
                break
            chosen[int.from_bytes(digest[at : at + 4], "big") % piece_count] = None
    return list(chosen)
