"""Full's frames inside the proven channel: uint24 length (1..16384) || one message."""

from __future__ import annotations

from btresearch.transport.btls.presentation import vector
from btresearch.transport.errors import LocalProtocolError, RemoteProtocolError

MAX_FRAME_BYTES = 16384
"""The longest message; it holds a chain of three certificates with room to spare."""

_LENGTH_BYTES = 3


def encode(message: bytes) -> bytes:
    """Frame one message. Raises LocalProtocolError for one that no peer would take."""
    if not 0 < len(message) <= MAX_FRAME_BYTES:
        raise LocalProtocolError(f"btls: a frame holds 1 to {MAX_FRAME_BYTES} bytes, not {len(message)}")
    return vector(message, _LENGTH_BYTES)


def take(unread: bytearray) -> bytes | None:
    """Remove one frame from the front of `unread` and return its message; None while it is incomplete."""
    if len(unread) < _LENGTH_BYTES:
        return None
    length = int.from_bytes(unread[:_LENGTH_BYTES], "big")
    if not 0 < length <= MAX_FRAME_BYTES:
        raise RemoteProtocolError(f"btls: a frame holds 1 to {MAX_FRAME_BYTES} bytes, not {length}")
    end = _LENGTH_BYTES + length
    if len(unread) < end:
        return None
    message = bytes(unread[_LENGTH_BYTES:end])
    del unread[:end]
    return message
