"""Which block to ask whom for next: started pieces first, then rarest first, endgame; and whom to blame."""

from __future__ import annotations

from collections.abc import Collection, Hashable
from dataclasses import dataclass, field

from btresearch.peer.availability import Availability
from btresearch.peer.errors import LocalProtocolError
from btresearch.peer.layout import BLOCK_BYTES, Block, Layout
from btresearch.peer.pieces import PieceSet
from btresearch.peer.rng import Rng

ENDGAME_BLOCKS = 8
"""Blocks that one call takes over from others in the endgame: enough to end, too few to flood."""
ENDGAME_PEERS = 3
"""Peers that are asked for the same block at the same time."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a block changed. `new` is False for a duplicate: do not store it.

    `piece_complete`: hash the piece, then call `passed` or `failed`. `cancel`: other peers that were
    asked for the block too (endgame).
    """

    new: bool
    piece_complete: bool = False
    cancel: tuple[Hashable, ...] = ()


_DUPLICATE, _KEPT = Receipt(new=False), Receipt(new=True)


@dataclass(slots=True)
class _Started:
    """A piece that is being fetched: `free` block numbers in reverse, `missing` of them not received."""

    free: list[int]
    missing: int
    owner: Hashable | None = None
    senders: set[Hashable] = field(default_factory=set)
    got: set[int] = field(default_factory=set)


@dataclass(slots=True)
class _Peer:
    pieces: PieceSet
    wanted: int
    seed: bool
    asked: dict[Block, None] = field(default_factory=dict)


class Picker:
    """Every peer's pieces and every block's state. A peer is any hashable key.

    The cost of a block does not grow with the torrent. Peers that had a part in a wrong piece become
    suspects: a suspect only gets pieces of its own, so that the next wrong one convicts it.
    """

    def __init__(self, layout: Layout, *, rng: Rng, have: PieceSet | None = None) -> None:
        self.layout = layout
        self.have = PieceSet(layout.piece_count) if have is None else have.copy()
        self._rng = rng
        self._available = Availability(layout.piece_count, self.have.missing())
        self._peers: dict[Hashable, _Peer] = {}
        self._started: dict[int, _Started] = {}
        self._unfinished: dict[int, _Started] = {}  # those of _started with free blocks
        self._asked: dict[Block, tuple[Hashable, ...]] = {}
        self._suspects: set[Hashable] = set()
        self._alone: set[int] = set()  # pieces that failed, to be fetched from one peer

    @property
    def complete(self) -> bool:
        """Whether every piece has passed."""
        return self.have.complete

    @property
    def endgame(self) -> bool:
        """Whether every block that is missing has been asked for."""
        return bool(self._asked) and not self._unfinished and not self._available.open_count

    @property
    def started(self) -> Collection[int]:
        """Pieces of which blocks were asked for or have come, and that have neither passed nor failed."""
        return self._started.keys()

    def add_peer(self, peer: Hashable, pieces: PieceSet) -> None:
        """A peer and what it has (copied here); call again when a bitfield comes."""
        asked = self._forget(peer)
        wanted = sum(index not in self.have for index in pieces)
        record = _Peer(pieces.copy(), wanted, pieces.complete, asked)
        self._peers[peer] = record
        if not record.seed:
            for index in pieces:
                self._available.change(index, +1)

    def peer_has(self, peer: Hashable, index: int) -> None:
        """A have message of a peer that was added."""
        record = self._peers[peer]
        if record.pieces.add(index):
            record.wanted += index not in self.have
            self._available.change(index, +1)

    def remove_peer(self, peer: Hashable) -> None:
        """The peer is gone; what it was asked for goes back into the pool."""
        for block in self._forget(peer):
            self._release(peer, block)
        self._suspects.discard(peer)
        for started in self._started.values():
            if started.owner == peer:
                started.owner = None

    def interesting(self, peer: Hashable) -> bool:
        """Whether the peer has a piece that is missing here."""
        return peer in self._peers and self._peers[peer].wanted > 0

    def pick(self, peer: Hashable, count: int, *, only: frozenset[int] | None = None) -> list[Block]:
        """Up to `count` blocks to request from `peer` now; they count as asked.

        `only` limits the choice to some pieces (those allowed while choked).
        """
        record = self._peers[peer]
        pieces = record.pieces if only is None else self._restricted(record.pieces, only)
        blocks: list[Block] = []
        self._take_unfinished(peer, pieces, count, blocks)
        while len(blocks) < count and (index := self._available.rarest(pieces, self._rng)) is not None:
            self._start(index, peer)
            self._take(index, count, blocks)
        if not blocks and count > 0 and (index := self._stranded(pieces)) is not None:
            self._start(index, peer)
            self._take(index, count, blocks)
        if not blocks and count > 0 and len(self._peers) > 1 and self.endgame:
            blocks = self._take_over(peer, pieces, min(count, ENDGAME_BLOCKS))
        alone = (peer,)
        for block in blocks:
            self._asked[block] = self._asked.get(block, ()) + alone
            record.asked[block] = None
        return blocks

    def dropped(self, peer: Hashable, block: Block) -> None:
        """The peer will not answer (reject, choke, time-out): the block is free for others."""
        record = self._peers.get(peer)
        if record is not None and block in record.asked:
            del record.asked[block]
            self._release(peer, block)

    def received(self, peer: Hashable, block: Block) -> Receipt:
        """A block came from `peer`, asked or late."""
        record = self._peers.get(peer)
        if record is not None:
            record.asked.pop(block, None)
        others = self._asked.pop(block, ())
        started, number = self._started.get(block.index), block.begin // BLOCK_BYTES
        if started is None or number in started.got:
            return _DUPLICATE
        if not others and number in started.free:
            self._unfree(block.index, started, number)
        started.got.add(number)
        started.senders.add(peer)
        started.missing -= 1
        if started.missing and others == (peer,):  # nearly always
            return _KEPT
        cancel = tuple(other for other in others if other != peer)
        for other in cancel:
            self._peers[other].asked.pop(block, None)
        return Receipt(new=True, piece_complete=not started.missing, cancel=cancel)

    def passed(self, index: int) -> None:
        """The hash of piece `index` is right."""
        started = self._finished(index)
        self._alone.discard(index)
        self.have.add(index)
        for record in self._peers.values():
            record.wanted -= index in record.pieces
        if len(started.senders) == 1:
            self._suspects -= started.senders

    def failed(self, index: int) -> frozenset[Hashable]:
        """The hash of piece `index` is wrong; it is missing again. Returns the peers that lied for certain.

        With one sender it is that one. With several each becomes a suspect, and the piece will come from
        a single peer next time.
        """
        started = self._finished(index)
        self._alone.add(index)
        self._available.open(index)
        if len(started.senders) == 1:
            return frozenset(started.senders)
        self._suspects |= started.senders & self._peers.keys()
        return frozenset()

    # --- choosing

    def _take_unfinished(self, peer: Hashable, pieces: PieceSet, count: int, blocks: list[Block]) -> None:
        for index in list(self._unfinished):
            if len(blocks) >= count:
                return
            if index in pieces and self._may_join(peer, index):
                self._take(index, count, blocks)

    def _may_join(self, peer: Hashable, index: int) -> bool:
        started = self._started[index]
        if started.owner is not None:
            return started.owner == peer
        if peer not in self._suspects and index not in self._alone:
            return True
        untouched = not started.senders and len(started.free) == self.layout.block_count(index)
        if untouched:
            started.owner = peer
        return untouched or started.senders == {peer}

    def _stranded(self, pieces: PieceSet) -> int | None:
        """A piece to begin anew: nobody works on it, and it is to come from one peer but began with others."""
        for index, started in self._unfinished.items():
            if started.owner is None and len(started.free) == started.missing and index in pieces:
                return index
        return None

    def _start(self, index: int, peer: Hashable) -> None:
        count = self.layout.block_count(index)
        alone = peer in self._suspects or index in self._alone
        started = _Started(list(range(count - 1, -1, -1)), count, peer if alone else None)
        self._started[index] = self._unfinished[index] = started
        self._available.close(index)

    def _take(self, index: int, count: int, blocks: list[Block]) -> None:
        started = self._started[index]
        room = min(count - len(blocks), len(started.free))
        blocks += self.layout.blocks(index, [started.free.pop() for _ in range(room)])
        if not started.free:
            del self._unfinished[index]

    def _take_over(self, peer: Hashable, pieces: PieceSet, count: int) -> list[Block]:
        """Endgame: blocks that others were asked for last, and so will be sent last."""
        blocks: list[Block] = []
        for block in reversed(self._asked):
            if len(blocks) >= count:
                break
            peers = self._asked[block]
            alone = self._started[block.index].owner is not None or peer in self._suspects
            if block.index in pieces and peer not in peers and len(peers) < ENDGAME_PEERS and not alone:
                blocks.append(block)
        return blocks

    def _restricted(self, pieces: PieceSet, only: frozenset[int]) -> PieceSet:
        return PieceSet(self.layout.piece_count, (index for index in only if index in pieces))

    # --- giving back

    def _release(self, peer: Hashable, block: Block) -> None:
        peers = self._asked.get(block)
        if peers is None or peer not in peers:
            return
        peers = self._asked[block] = tuple(other for other in peers if other != peer)
        started = self._started.get(block.index)
        if started is not None and started.owner == peer:
            started.owner = None  # another may finish it: a stalled owner must not stall the torrent
        if peers:
            return
        del self._asked[block]
        if started is not None:
            started.free.append(block.begin // BLOCK_BYTES)
            self._unfinished[block.index] = started

    def _unfree(self, index: int, started: _Started, number: int) -> None:
        """A block came late, after it was given back."""
        started.free.remove(number)
        if not started.free:
            self._unfinished.pop(index, None)

    def _finished(self, index: int) -> _Started:
        started = self._started.get(index)
        if started is None or started.missing:
            raise LocalProtocolError(f"piece {index} is not complete")
        del self._started[index]
        return started

    def _forget(self, peer: Hashable) -> dict[Block, None]:
        record = self._peers.pop(peer, None)
        if record is None:
            return {}
        if not record.seed:
            for index in record.pieces:
                self._available.change(index, -1)
        return record.asked
