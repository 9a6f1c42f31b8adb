"""Piece layers from peers, BEP 52: what a magnet link's info dictionary lacks before a piece can be verified."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field

from btresearch.peer import merkle
from btresearch.peer.errors import RemoteProtocolError
from btresearch.peer.hashes import Hashes, HashRange
from btresearch.peer.layers import piece_level
from btresearch.peer.layout import File

MAX_LENGTH = 512
"""Hashes in one request (BEP 52 recommends no more)."""
PIPELINE = 4
"""Requests open at one peer."""
PATIENCE_NS = 20_000_000_000
"""After this without an answer another peer is asked."""
PAUSE_NS = 10_000_000_000
"""A peer that refused, or was silent, is left alone so long."""


@dataclass(slots=True)
class _Peer:
    """`open`: what it was asked for, and when; `late`: what was given to others since."""

    open: dict[HashRange, int] = field(default_factory=dict)
    late: set[HashRange] = field(default_factory=set)
    paused_until_ns: int = 0


class LayersFetch:
    """Collects the piece layers of `files`, each answer proven against its pieces root before it is kept.

    A peer is any hashable key; times are integer ns of any steady clock. Call `requests` after every other
    call, and now and then, since a silent peer's share goes to others.
    """

    def __init__(self, files: Sequence[File], piece_length_bytes: int) -> None:
        self._level = piece_level(piece_length_bytes)
        self._counts = {
            file.root: -(-file.length_bytes // piece_length_bytes) for file in files if file.root is not None
        }
        self._wanted = deque(wanted for root in self._counts for wanted in self._ranges(root))
        self._missing = set(self._wanted)
        self._parts: dict[HashRange, bytes] = {}
        self._peers: dict[Hashable, _Peer] = {}

    @property
    def complete(self) -> bool:
        """Whether every layer is whole."""
        return not self._missing

    @property
    def layers(self) -> dict[bytes, bytes]:
        """Root -> the hashes of its pieces; call when complete."""
        return {root: b"".join(self._parts[wanted] for wanted in self._ranges(root)) for root in self._counts}

    def add_peer(self, peer: Hashable) -> None:
        """A peer that speaks BEP 52 on its connection."""
        self._peers.setdefault(peer, _Peer())

    def remove_peer(self, peer: Hashable) -> None:
        """Its share is given to others."""
        gone = self._peers.pop(peer, None)
        if gone is not None:
            self._wanted.extend(gone.open)

    def requests(self, peer: Hashable, now_ns: int) -> list[HashRange]:
        """What to ask `peer` for now."""
        record = self._peers.get(peer)
        if record is None:
            return []
        self._give_up(record, now_ns)
        chosen: list[HashRange] = []
        while self._wanted and now_ns >= record.paused_until_ns and len(record.open) < PIPELINE:
            wanted = self._wanted.popleft()
            if wanted in self._missing:
                record.open[wanted] = now_ns
                chosen.append(wanted)
        return chosen

    def received(self, peer: Hashable, message: Hashes) -> None:
        """Keep the hashes if they prove right. Raises RemoteProtocolError for others, and unasked ones."""
        record = self._peers.get(peer)
        if record is None or not self._settle(record, message.range):
            raise RemoteProtocolError("hashes that were not asked for")
        wanted = message.range
        if wanted not in self._missing:
            return
        hashes, uncles = message.hashes[: wanted.length], message.hashes[wanted.length :]
        if merkle.proven_root(hashes, uncles, level=self._level, index=wanted.index) != wanted.root:
            self._wanted.append(wanted)
            raise RemoteProtocolError("hashes that do not make the pieces root")
        self._missing.discard(wanted)
        # what lies beyond the file's end only balances the tree
        self._parts[wanted] = b"".join(hashes[: self._counts[wanted.root] - wanted.index])

    def rejected(self, peer: Hashable, refused: HashRange, now_ns: int) -> None:
        """The peer will not answer. Raises RemoteProtocolError if it was not asked."""
        record = self._peers.get(peer)
        if record is None or not self._settle(record, refused):
            raise RemoteProtocolError("hash reject without a request")
        if refused in self._missing:
            self._wanted.append(refused)
        record.paused_until_ns = now_ns + PAUSE_NS

    def _ranges(self, root: bytes) -> Iterator[HashRange]:
        """The requests that one layer takes: powers of two, at multiples of themselves."""
        count = self._counts[root]
        depth = merkle.depth_of(count)
        length = min(MAX_LENGTH, 1 << depth)
        # the layer right below the root is the last that the root does not prove by itself
        return (HashRange(root, self._level, index, length, depth - 1) for index in range(0, count, length))

    def _settle(self, record: _Peer, answered: HashRange) -> bool:
        if record.open.pop(answered, None) is not None:
            return True
        asked = answered in record.late
        record.late.discard(answered)
        return asked

    def _give_up(self, record: _Peer, now_ns: int) -> None:
        slow = [wanted for wanted, asked_ns in record.open.items() if now_ns - asked_ns >= PATIENCE_NS]
        for wanted in slow:
            del record.open[wanted]
            record.late.add(wanted)
            self._wanted.append(wanted)
            record.paused_until_ns = now_ns + PAUSE_NS
