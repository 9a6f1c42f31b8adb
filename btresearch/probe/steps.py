"""What a visitor does, one step after the other."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class Act(Enum):
    """A step without content."""

    TURN = auto()
    """Wait until the server has answered and is quiet."""
    HALF_CLOSE = auto()
    """TCP FIN; go on reading."""
    CLOSE_NOTIFY = auto()
    """TLS close_notify; go on reading."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Do nothing for so long."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes for the socket, past the TLS channel."""

    wire: bytes


Step = bytes | Act | Pause | Raw
"""Bytes are one TLS record inside a channel, one write without."""


def split(data: bytes, size: int) -> tuple[bytes, ...]:
    """The same bytes in steps of `size`."""
    return tuple(data[at : at + size] for at in range(0, len(data), size))
