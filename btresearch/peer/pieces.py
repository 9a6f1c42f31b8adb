"""A set of piece indices that packs to and from the bitfield message."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from btresearch.peer.errors import RemoteProtocolError


class PieceSet:
    """Which pieces someone has: constant-time lookup, a count, and the wire form of BEP 3."""

    __slots__ = ("_flags", "count")

    def __init__(self, piece_count: int, have: Iterable[int] = ()) -> None:
        self._flags = bytearray(piece_count)
        self.count = 0
        for index in have:
            self.add(index)

    @classmethod
    def full(cls, piece_count: int) -> PieceSet:
        """Every piece."""
        pieces = cls(piece_count)
        pieces._flags = bytearray(b"\x01") * piece_count
        pieces.count = piece_count
        return pieces

    @classmethod
    def unpack(cls, bits: bytes, piece_count: int) -> PieceSet:
        """From a bitfield message; RemoteProtocolError for a wrong length or a set spare bit."""
        if len(bits) != (piece_count + 7) // 8:
            raise RemoteProtocolError(f"bitfield of {len(bits)} bytes for {piece_count} pieces")
        flags = bytearray(f"{int.from_bytes(bits, 'big'):0{len(bits) * 8}b}" if bits else "", "ascii")
        flags = flags.translate(_ASCII_TO_FLAG)
        if any(flags[piece_count:]):
            raise RemoteProtocolError("bitfield has a spare bit set")
        pieces = cls(0)
        pieces._flags = flags[:piece_count]
        pieces.count = pieces._flags.count(1)
        return pieces

    def pack(self) -> bytes:
        """The bitfield message's payload."""
        length = (len(self._flags) + 7) // 8
        digits = self._flags.translate(_FLAG_TO_ASCII).decode("ascii").ljust(length * 8, "0")
        return int(digits or "0", 2).to_bytes(length, "big")

    def add(self, index: int) -> bool:
        """Put piece `index` in; False if it was there. IndexError outside the torrent."""
        if index < 0:
            raise IndexError(index)
        if self._flags[index]:
            return False
        self._flags[index] = 1
        self.count += 1
        return True

    def discard(self, index: int) -> None:
        """Take piece `index` out."""
        self.count -= self._flags[index]
        self._flags[index] = 0

    @property
    def complete(self) -> bool:
        """Whether every piece is in."""
        return self.count == len(self._flags)

    @property
    def piece_count(self) -> int:
        """Number of pieces in the torrent."""
        return len(self._flags)

    def missing(self) -> Iterator[int]:
        """The pieces that are not in, ascending."""
        return (index for index, flag in enumerate(self._flags) if not flag)

    def copy(self) -> PieceSet:
        """An independent copy."""
        twin = PieceSet(0)
        twin._flags, twin.count = bytearray(self._flags), self.count
        return twin

    def __contains__(self, index: int) -> bool:
        return 0 <= index < len(self._flags) and bool(self._flags[index])

    def __iter__(self) -> Iterator[int]:
        return (index for index, flag in enumerate(self._flags) if flag)

    def __len__(self) -> int:
        return self.count

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PieceSet) and self._flags == other._flags

    __hash__ = None  # type: ignore[assignment]


_ASCII_TO_FLAG = bytes(1 if byte == ord("1") else 0 for byte in range(256))
_FLAG_TO_ASCII = bytes(ord("1") if byte == 1 else ord("0") for byte in range(256))
