"""The pieces of a known torrent: which to ask for, what has come, what was verified and written."""

from __future__ import annotations

import logging
import random
from collections.abc import Hashable
from typing import Protocol

from btresearch.peer.layout import Block
from btresearch.peer.messages import Piece
from btresearch.peer.picker import Picker
from btresearch.peer.pieces import PieceSet
from btresearch.peer.torrent import Torrent
from btresearch.session.disk import Disk
from btresearch.session.uploads import Uploads

# Verified pieces on their way to the disk; beyond this, nobody is asked for more.
MAX_PENDING_BYTES = 32 << 20
# Buffers that wait for the next piece: fresh memory costs as much as the copy into it.
MAX_SPARE_BYTES = 16 << 20
# Of pieces that are being fetched: beyond this, those that were begun come first. One is always allowed.
MAX_STARTED_BYTES = 96 << 20

log = logging.getLogger(__name__)


class Watcher(Protocol):
    """Who is told what became of a piece."""

    def piece_passed(self, index: int) -> None:
        """It is verified and on disk."""

    def piece_failed(self, index: int, liars: frozenset[Hashable]) -> None:
        """Its hash was wrong; `liars` are the peers convicted of it."""

    def disk_caught_up(self) -> None:
        """Asking may go on."""


class Download:
    """Blocks in, verified pieces out. Peers are any hashable keys; blocks live in memory until their piece is whole."""

    def __init__(
        self, torrent: Torrent, disk: Disk, have: PieceSet, *, rng: random.Random, watcher: Watcher
    ) -> None:
        self.torrent, self.layout, self.disk = torrent, torrent.layout, disk
        self.picker = Picker(torrent.layout, rng=rng, have=have)
        self.uploads = Uploads(disk, on_loaded=watcher.disk_caught_up)
        self.wasted_bytes = 0
        self._watcher = watcher
        # Views: what is assigned to a slice of a bytearray is copied twice.
        self._buffers: dict[int, memoryview] = {}
        self._spare: list[memoryview] = []
        self._pending_bytes = 0

    @property
    def have(self) -> PieceSet:
        """Pieces that are verified and on disk."""
        return self.picker.have

    @property
    def complete(self) -> bool:
        """Whether that is all of them."""
        return self.picker.complete

    @property
    def behind(self) -> bool:
        """Whether the disk has too much to do already."""
        return self._pending_bytes > MAX_PENDING_BYTES

    @property
    def only_started(self) -> frozenset[int] | None:
        """The pieces to choose among while no other may be begun, since they wait in memory; None for all."""
        started = self.picker.started
        if (len(started) + 1) * self.layout.piece_length_bytes <= MAX_STARTED_BYTES or not started:
            return None
        return frozenset(started)

    @property
    def left_bytes(self) -> int:
        """What a tracker is told is missing."""
        return sum(self.layout.piece_bytes(index) for index in self.have.missing())

    def received(self, peer: Hashable, piece: Piece) -> tuple[Hashable, ...]:
        """Keep a block; the other peers that were asked for it and should be told to forget it."""
        block = Block(piece.index, piece.begin, len(piece.block))
        receipt = self.picker.received(peer, block)
        if not receipt.new:
            self.wasted_bytes += block.length
            return ()
        buffer = self._buffers.get(block.index)
        if buffer is None:
            buffer = self._buffers[block.index] = self._new_buffer()
        buffer[block.begin : block.begin + block.length] = piece.block
        if receipt.piece_complete:
            self._verify(block.index)
        return receipt.cancel

    def _new_buffer(self) -> memoryview:
        return self._spare.pop() if self._spare else memoryview(bytearray(self.layout.piece_length_bytes))

    def _verify(self, index: int) -> None:
        buffer = self._buffers.pop(index)
        size = self.layout.piece_bytes(index)
        self._pending_bytes += size

        def done(good: bool) -> None:
            self._verified(index, buffer, good)

        self.disk.verify_and_write(index, buffer[:size], self.torrent.piece_hash(index), done)

    def _verified(self, index: int, buffer: memoryview, good: bool) -> None:
        was_behind = self.behind
        self._pending_bytes -= self.layout.piece_bytes(index)
        if (len(self._spare) + 1) * self.layout.piece_length_bytes <= MAX_SPARE_BYTES:
            self._spare.append(buffer)
        if good:
            self.picker.passed(index)
            self._watcher.piece_passed(index)
        else:
            self.wasted_bytes += self.layout.piece_bytes(index)
            self._watcher.piece_failed(index, self.picker.failed(index))
        if was_behind and not self.behind:
            self._watcher.disk_caught_up()
