"""Peer wire messages to bytes and back: a four-byte length, one byte of id, the payload (BEP 3).

The way in is linear in the bytes however they are cut, and a block is handed out as a view of the chunk
that it came in; only what straddles two chunks is copied.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from btresearch.peer import hashes
from btresearch.peer.errors import RemoteProtocolError
from btresearch.peer.hashes import Hashes, HashReject, HashRequest
from btresearch.peer.messages import (
    AllowedFast,
    Bitfield,
    Cancel,
    Choke,
    Extended,
    Have,
    HaveAll,
    HaveNone,
    Interested,
    KeepAlive,
    Message,
    NotInterested,
    Piece,
    Reject,
    Request,
    Suggest,
    Unchoke,
)

MAX_MESSAGE_BYTES = 1 << 20
"""Of any message. The longest legal ones are a bitfield (8 million pieces) and a 128 KiB block."""
MAX_REQUEST_BYTES = 128 * 1024
"""Longest block that is served or taken; BEP 3 has clients close on more than 2^17."""
PORT_ID = 9
"""BEP 5. Nobody here runs a DHT node, so it is read and dropped."""

_BARE = (Choke, Unchoke, Interested, NotInterested, HaveAll, HaveNone)
_INDEXED = (Have, Suggest, AllowedFast)
_RANGED = (Request, Cancel, Reject)

_PIECE = struct.Struct(">IBII")
_RANGE = struct.Struct(">IBIII")
_INDEX = struct.Struct(">IBI")

_pull_piece = _PIECE.unpack_from


def encode(message: Message) -> bytes:
    """The bytes of one message, length prefix included."""
    match message:
        case KeepAlive():
            return bytes(4)
        case Cancel(index, begin, length) | Reject(index, begin, length):
            return _RANGE.pack(13, message.id, index, begin, length)
        case Have(index) | Suggest(index) | AllowedFast(index):
            return _INDEX.pack(5, message.id, index)
        case Request(index, begin, length):
            return request(index, begin, length)
        case Piece(index, begin, block):
            return piece_header(index, begin, len(block)) + block
        case Bitfield(bits):
            return struct.pack(">IB", 1 + len(bits), message.id) + bits
        case Extended(extension, payload):
            return struct.pack(">IBB", 2 + len(payload), message.id, extension) + payload
        case HashRequest() | Hashes() | HashReject():
            return hashes.encode(message)
        case _:
            return struct.pack(">IB", 1, message.id)


def request(index: int, begin: int, length: int) -> bytes:
    """The bytes of a request, of which one goes out for every block."""
    return _RANGE.pack(13, Request.id, index, begin, length)


def piece_header(index: int, begin: int, length: int) -> bytes:
    """The 13 bytes before a block of `length` bytes."""
    return _PIECE.pack(9 + length, Piece.id, index, begin)


def decode(body: memoryview) -> Message | None:
    """One message from what follows the length prefix; None for `port`, which says nothing here.

    Raises RemoteProtocolError for an unknown id or a length that the id does not have.
    """
    if not body:
        return KeepAlive()
    pull = _PULL.get(body[0])
    if pull is None:
        raise RemoteProtocolError(f"message id {body[0]} is not one of BEP 3, 6, 10 or 52")
    return pull(body)


class Framer:
    """Cuts a byte stream into messages. Raises RemoteProtocolError; useless after that."""

    def __init__(self) -> None:
        self._held = bytearray()  # the beginning of a message whose end has not come
        self._need = 4  # bytes of it that must be there before it is worth looking again

    def feed(self, data: bytes | bytearray | memoryview) -> list[Message]:
        """The messages that `data` completes. A Piece's block is a view of `data` where it lies in it whole."""
        view = memoryview(data)
        messages: list[Message] = []
        at = self._complete_held(view, messages) if self._held else 0
        if at is None:
            return messages
        at = _pull_all(view, at, messages)
        if at < len(view):
            self._held += view[at:]
            self._need = _needed(self._held)
        return messages

    def _complete_held(self, view: memoryview, messages: list[Message]) -> int | None:
        """Finish the held message; how much of `view` that took, or None if it took all and needs more."""
        at = 0
        while len(self._held) < self._need:
            if at == len(view):
                return None
            taken = view[at : at + self._need - len(self._held)]
            self._held += taken
            at += len(taken)
            self._need = _needed(self._held)
        # the block of a straddling message is a view of this copy, which nothing writes to again
        held, self._held, self._need = self._held, bytearray(), 4
        _pull_all(memoryview(held), 0, messages)
        return at


def _needed(head: bytearray) -> int:
    """Length in bytes of the message that begins with `head`, as far as it can be told."""
    if len(head) < 4:
        return 4
    return 4 + _bounded(int.from_bytes(head[:4], "big"))


def _bounded(length: int) -> int:
    if length > MAX_MESSAGE_BYTES:
        raise RemoteProtocolError(f"message of {length} bytes, over the bound of {MAX_MESSAGE_BYTES}")
    return length


def _pull_all(view: memoryview, at: int, messages: list[Message]) -> int:
    """Every whole message from `at` on; the offset of the first that is not whole.

    Blocks are told apart before anything else: at 16 KiB each they are nearly all there is.
    """
    end = len(view)
    while end - at >= 13:
        length, kind, index, begin = _pull_piece(view, at)
        after = at + 4 + length
        if after > end:
            _bounded(length)
            return at
        if kind == Piece.id and length >= 9:
            messages.append(Piece(index, begin, view[at + 13 : after]))
        elif (message := decode(view[at + 4 : after])) is not None:
            messages.append(message)
        at = after
    return _pull_short(view, at, messages)


def _pull_short(view: memoryview, at: int, messages: list[Message]) -> int:
    """As _pull_all, for the last 12 bytes, which are too short for a block's header."""
    while len(view) - at >= 4:
        after = at + 4 + _bounded(int.from_bytes(view[at : at + 4], "big"))
        if after > len(view):
            return at
        if (message := decode(view[at + 4 : after])) is not None:
            messages.append(message)
        at = after
    return at


def _sized(body: memoryview, length: int) -> memoryview:
    if len(body) != length:
        raise RemoteProtocolError(f"message id {body[0]} of {len(body)} bytes, expected {length}")
    return body


def _pull_bare(kind: Callable[[], Message]) -> Callable[[memoryview], Message]:
    message = kind()

    def pull(body: memoryview) -> Message:
        _sized(body, 1)
        return message

    return pull


def _pull_indexed(kind: type[Have | Suggest | AllowedFast]) -> Callable[[memoryview], Message]:
    return lambda body: kind(int.from_bytes(_sized(body, 5)[1:], "big"))


def _pull_ranged(kind: type[Request | Cancel | Reject]) -> Callable[[memoryview], Message]:
    return lambda body: kind(*struct.unpack_from(">III", _sized(body, 13), 1))


def _pull_block(body: memoryview) -> Message:
    if len(body) < 9:
        raise RemoteProtocolError(f"piece message of {len(body)} bytes, expected at least 9")
    index, begin = struct.unpack_from(">II", body, 1)
    return Piece(index, begin, body[9:])


def _pull_extended(body: memoryview) -> Message:
    if len(body) < 2:
        raise RemoteProtocolError("extended message without an extension id")
    return Extended(body[1], bytes(body[2:]))


def _drop_port(body: memoryview) -> None:
    _sized(body, 3)


_PULL: dict[int, Callable[[memoryview], Message | None]] = {
    **{kind.id: _pull_bare(kind) for kind in _BARE},
    **{kind.id: _pull_indexed(kind) for kind in _INDEXED},
    **{kind.id: _pull_ranged(kind) for kind in _RANGED},
    Bitfield.id: lambda body: Bitfield(bytes(body[1:])),
    Piece.id: _pull_block,
    PORT_ID: _drop_port,
    Extended.id: _pull_extended,
    HashRequest.id: hashes.pull_request,
    Hashes.id: hashes.pull_hashes,
    HashReject.id: hashes.pull_reject,
}
