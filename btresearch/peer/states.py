"""Which message is legal when, as one table that judges both directions alike."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

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
    NotInterested,
    Piece,
    Reject,
    Request,
    Suggest,
    Unchoke,
)


class Phase(Enum):
    """How far one direction of a connection has come."""

    HANDSHAKE = "before its handshake"
    FIRST = "after its handshake, before it says what it has"
    OPEN = "open"


class Rule(NamedTuple):
    """Phases in which a message may be sent, the phase after it, and the extension that both must speak."""

    phases: tuple[Phase, ...]
    after: Phase | None = None
    needs: str | None = None


_ANY = (Phase.FIRST, Phase.OPEN)
_FIRST = (Phase.FIRST,)

RULES: dict[type, Rule] = {
    # say nothing about pieces and may come at any time; real clients put the BEP 10 handshake first
    KeepAlive: Rule(_ANY),
    Extended: Rule(_ANY, needs="extended"),
    # BEP 3: "may only be sent immediately after the handshaking sequence"; BEP 6: exactly one of the three
    Bitfield: Rule(_FIRST, Phase.OPEN),
    HaveAll: Rule(_FIRST, Phase.OPEN, "fast"),
    HaveNone: Rule(_FIRST, Phase.OPEN, "fast"),
    Choke: Rule(_ANY, Phase.OPEN),
    Unchoke: Rule(_ANY, Phase.OPEN),
    Interested: Rule(_ANY, Phase.OPEN),
    NotInterested: Rule(_ANY, Phase.OPEN),
    Have: Rule(_ANY, Phase.OPEN),
    Request: Rule(_ANY, Phase.OPEN),
    Piece: Rule(_ANY, Phase.OPEN),
    Cancel: Rule(_ANY, Phase.OPEN),
    Suggest: Rule(_ANY, Phase.OPEN, "fast"),
    Reject: Rule(_ANY, Phase.OPEN, "fast"),
    AllowedFast: Rule(_ANY, Phase.OPEN, "fast"),
    # BEP 52: about the metadata, whatever is choked
    HashRequest: Rule(_ANY, needs="v2"),
    Hashes: Rule(_ANY, needs="v2"),
    HashReject: Rule(_ANY, needs="v2"),
}


def violation(phase: Phase, kind: type, speaks: Callable[[str], bool]) -> str | None:
    """Why a message of `kind` is not legal in `phase`, or None; `speaks` tells whether both ends have an extension."""
    rule = RULES[kind]
    if phase not in rule.phases:
        return f"{kind.__name__} is not legal {phase.value}" if phase is not Phase.OPEN else _late(kind)
    if rule.needs is not None and not speaks(rule.needs):
        return f"{kind.__name__} without the {rule.needs} extension at both ends"
    return None


def _late(kind: type) -> str:
    return f"{kind.__name__} after other messages; it may only follow the handshake"
