"""The allowed-fast set of BEP 6: pieces that a peer may fetch while it is choked, and how much of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from ipaddress import IPv4Address

from btresearch.peer.layout import Block

ALLOWED_FAST_COUNT = 10
"""BEP 6 suggests 10."""
MAX_FAST_REQUESTS, MAX_FAST_BYTES = 128, 2 << 20
"""What one connection is served while it is choked; BEP 6 lets a peer with no more to give reject."""
MAX_NAMED = 500
"""Pieces of the peer's set that are kept."""


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


class FastPieces:
    """Both sets of one connection: `granted` may be asked for here, `offered` is served to the peer.

    A peer computes by BEP 6 what it will be granted and may ask at once (`expect`), a round trip before the
    allowed-fast messages reach it. A wrong guess costs one reject, and then nothing is guessed any more.
    """

    def __init__(self) -> None:
        self.granted: set[int] = set()
        self.offered: set[int] = set()
        self._expected: frozenset[int] = frozenset()
        self._served_requests = self._served_bytes = 0

    @property
    def open_to_us(self) -> frozenset[int]:
        """Pieces to ask for while choked."""
        return self._expected.union(self.granted)

    def expect(self, indices: Iterable[int]) -> None:
        """The peer will grant these, as far as can be computed here."""
        self._expected = frozenset(indices)

    def grant(self, index: int) -> bool:
        """An allowed-fast message came; False if it is not kept."""
        if len(self.granted) < MAX_NAMED:
            self.granted.add(index)
        return index in self.granted

    def refused(self, index: int) -> None:
        """A request was rejected while the peer choked: never ask for that piece again in this way."""
        if index in self._expected and index not in self.granted:
            self._expected = frozenset()
        self._expected -= {index}
        self.granted.discard(index)

    def admit(self, block: Block) -> bool:
        """Whether to serve a choked peer's request; counts it."""
        if (
            block.index not in self.offered
            or self._served_requests >= MAX_FAST_REQUESTS
            or self._served_bytes + block.length > MAX_FAST_BYTES
        ):
            return False
        self._served_requests += 1
        self._served_bytes += block.length
        return True
