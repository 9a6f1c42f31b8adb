"""Who broke the protocol: they did (`RemoteProtocolError`) or we did (`LocalProtocolError`)."""

from __future__ import annotations

from btresearch.errors import BtresearchError


class ProtocolError(BtresearchError):
    """Base of both; the connection is over, `reason` says why in one line."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class RemoteProtocolError(ProtocolError):
    """The other end sent bytes that the specification forbids, or failed its proof.

    `goodbye` holds the bytes (a TLS alert, say) that should still be written before the socket is closed.
    """

    def __init__(self, reason: str, *, goodbye: bytes = b"") -> None:
        self.goodbye = goodbye
        super().__init__(reason)


class LocalProtocolError(ProtocolError):
    """Our own caller asked for something that the state or the specification forbids."""
