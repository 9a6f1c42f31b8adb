"""Which block to ask whom for next: rarest first, started pieces first, endgame; and whom to blame."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from btresearch.peer.layout import Block, Layout
from btresearch.peer.pieces import PieceSet


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a block changed. `cancel`: other peers that were asked for it too (endgame)."""

    new: bool
    piece_complete: bool
    cancel: tuple[Hashable, ...] = ()


class Picker:
    """All peers' availability and all blocks' state. A peer is any hashable key.

    `rng` is anything like random.Random (randrange).
    """

    def __init__(self, layout: Layout, *, rng: object, have: PieceSet | None = None) -> None: ...

    have: PieceSet  # pieces checked and kept

    @property
    def complete(self) -> bool: ...
    @property
    def endgame(self) -> bool: ...

    def add_peer(self, peer: Hashable, pieces: PieceSet) -> None:
        """The picker keeps its own copy; call again when the bitfield comes."""

    def peer_has(self, peer: Hashable, index: int) -> None: ...
    def remove_peer(self, peer: Hashable) -> None:
        """Its open requests go back into the pool."""

    def interesting(self, peer: Hashable) -> bool:
        """Whether the peer has a piece that is missing here."""

    def pick(self, peer: Hashable, count: int, *, only: frozenset[int] | None = None) -> list[Block]:
        """Up to `count` blocks to request now from `peer`, marked as asked (`only`: allowed-fast pieces)."""

    def dropped(self, peer: Hashable, block: Block) -> None:
        """The peer will not answer (reject, choke, time-out)."""

    def received(self, peer: Hashable, block: Block) -> Receipt:
        """A block came in; new=False: a duplicate, don't write it."""

    def passed(self, index: int) -> None:
        """The piece's hash is right."""

    def failed(self, index: int) -> frozenset[Hashable]:
        """The hash is wrong: the piece is missing again. Returns the peers to ban (convicted liars), if known.

        One sender: that peer. Several: each becomes a suspect, and the piece is asked from one peer at a
        time until the liar stands alone.
        """
