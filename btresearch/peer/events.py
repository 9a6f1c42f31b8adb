"""What `PeerConnection.receive` returns beside the messages themselves."""

from __future__ import annotations

from dataclasses import dataclass

from btresearch.peer.extension import ExtensionHandshake
from btresearch.peer.handshake import Handshake
from btresearch.peer.layout import Block
from btresearch.peer.messages import Message


@dataclass(frozen=True, slots=True)
class Dropped:
    """Own requests that stay unanswered (the peer choked and does not speak BEP 6): pick them anew."""

    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class ExtensionMessage:
    """A message of an extension that `extensions` names, e.g. `name` = b"ut_metadata"."""

    name: bytes
    payload: bytes


Event = Handshake | Dropped | ExtensionHandshake | ExtensionMessage | Message
