"""Who broke the BitTorrent protocol: this side (a bug here) or the other one (drop that peer)."""

from __future__ import annotations

from btresearch.errors import BtresearchError


class LocalProtocolError(BtresearchError):
    """A call that the protocol does not allow in the present state."""


class RemoteProtocolError(BtresearchError):
    """The other side sent what the protocol does not allow; the message says what and why."""
