"""What a peer says that it has, also while nobody here knows how many pieces there are (magnet links)."""

from __future__ import annotations

from btresearch.peer.errors import RemoteProtocolError
from btresearch.peer.info import MAX_PIECES
from btresearch.peer.pieces import PieceSet


class RemotePieces:
    """Keeps announcements as they come, and judges them as soon as `settle` gives the number of pieces."""

    def __init__(self) -> None:
        self.known: PieceSet | None = None
        self._early = bytearray()  # a flag a piece, as far as announced: a set would cost 60 MB
        self._early_bits: bytes | None = None
        self._all = False

    @property
    def complete(self) -> bool:
        """Whether the peer has everything, as far as can be told."""
        return self.known.complete if self.known is not None else self._all

    def settle(self, piece_count: int) -> None:
        """The number of pieces is known now. Raises RemoteProtocolError for what does not fit it."""
        if self._all:
            self.known = PieceSet.full(piece_count)
        elif self._early_bits is not None:
            self.known = PieceSet.unpack(self._early_bits, piece_count)
        else:
            self.known = PieceSet(piece_count)
        for index, flag in enumerate(self._early):
            if flag:
                self.add(index)
        self._early.clear()

    def add(self, index: int) -> bool:
        """A have message; False if nothing new. Raises RemoteProtocolError for a piece out of range."""
        limit = MAX_PIECES if self.known is None else self.known.piece_count
        if index >= limit:
            raise RemoteProtocolError(f"have of piece {index}, of {limit}")
        if self.known is not None:
            return self.known.add(index)
        self._early.extend(bytes(max(0, index + 1 - len(self._early))))
        new = not self._early[index]
        self._early[index] = 1
        return new

    def unpack(self, bits: bytes) -> None:
        """A bitfield message. Raises RemoteProtocolError."""
        if self.known is not None:
            self.known = PieceSet.unpack(bits, self.known.piece_count)
        elif len(bits) > MAX_PIECES // 8 + 1:
            raise RemoteProtocolError(f"bitfield of {len(bits)} bytes")
        self._early_bits = bits

    def fill(self) -> None:
        """A have_all message."""
        self._all = True
        if self.known is not None:
            self.known = PieceSet.full(self.known.piece_count)
