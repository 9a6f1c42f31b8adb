"""The peer wire messages of BEP 3, BEP 6 (fast), BEP 10 (extended) and BEP 52, one frozen dataclass each.

They are what `PeerConnection.receive` returns as events.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from btresearch.peer.hashes import Hashes, HashReject, HashRequest
from btresearch.peer.layout import Block


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """Four zero bytes, sent about every two minutes when there is nothing else to say."""


@dataclass(frozen=True, slots=True)
class Choke:
    """The sender will answer no more requests."""

    id: ClassVar[int] = 0


@dataclass(frozen=True, slots=True)
class Unchoke:
    """The sender will answer requests."""

    id: ClassVar[int] = 1


@dataclass(frozen=True, slots=True)
class Interested:
    """The sender would request pieces if it were unchoked."""

    id: ClassVar[int] = 2


@dataclass(frozen=True, slots=True)
class NotInterested:
    """The sender wants nothing that the receiver has."""

    id: ClassVar[int] = 3


@dataclass(frozen=True, slots=True)
class Have:
    """The sender now has piece `index`, checked."""

    id: ClassVar[int] = 4
    index: int


@dataclass(frozen=True, slots=True)
class Bitfield:
    """The pieces that the sender has: bit 7 of byte 0 is piece 0; spare bits are zero."""

    id: ClassVar[int] = 5
    bits: bytes


@dataclass(frozen=True, slots=True)
class Request:
    """The sender wants `length` bytes from byte `begin` of piece `index`."""

    id: ClassVar[int] = 6
    index: int
    begin: int
    length: int

    @property
    def block(self) -> Block:
        """The range as a value that can be compared over message kinds."""
        return Block(self.index, self.begin, self.length)


@dataclass(frozen=True, slots=True)
class Piece:
    """A block. `block` is a view of the buffer given to `receive`: copy it if that buffer is reused."""

    id: ClassVar[int] = 7
    index: int
    begin: int
    block: bytes | memoryview


@dataclass(frozen=True, slots=True)
class Cancel:
    """The sender no longer wants this block."""

    id: ClassVar[int] = 8
    index: int
    begin: int
    length: int

    @property
    def block(self) -> Block:
        """The range as a value that can be compared over message kinds."""
        return Block(self.index, self.begin, self.length)


@dataclass(frozen=True, slots=True)
class Suggest:
    """The sender would like to be asked for piece `index` (BEP 6)."""

    id: ClassVar[int] = 13
    index: int


@dataclass(frozen=True, slots=True)
class HaveAll:
    """In place of a bitfield: the sender is a seed (BEP 6)."""

    id: ClassVar[int] = 14


@dataclass(frozen=True, slots=True)
class HaveNone:
    """In place of a bitfield: the sender has nothing yet (BEP 6)."""

    id: ClassVar[int] = 15


@dataclass(frozen=True, slots=True)
class Reject:
    """The sender will not answer this request (BEP 6)."""

    id: ClassVar[int] = 16
    index: int
    begin: int
    length: int

    @property
    def block(self) -> Block:
        """The range as a value that can be compared over message kinds."""
        return Block(self.index, self.begin, self.length)


@dataclass(frozen=True, slots=True)
class AllowedFast:
    """Piece `index` may be requested even while choked (BEP 6)."""

    id: ClassVar[int] = 17
    index: int


@dataclass(frozen=True, slots=True)
class Extended:
    """An extension message (BEP 10): `extension` 0 is the extension handshake."""

    id: ClassVar[int] = 20
    extension: int
    payload: bytes


Message = (
    KeepAlive
    | Choke
    | Unchoke
    | Interested
    | NotInterested
    | Have
    | Bitfield
    | Request
    | Piece
    | Cancel
    | Suggest
    | HaveAll
    | HaveNone
    | Reject
    | AllowedFast
    | Extended
    | HashRequest
    | Hashes
    | HashReject
)
