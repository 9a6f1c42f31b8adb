"""No security at all: BEP 3 as it was."""

from __future__ import annotations

from btresearch.transport.protocol import Bytes


class Clear:
    """The identity transport."""

    name = "clear"
    ready = True
    infohash: bytes | None = None

    def start(self) -> bytes:
        """Nothing precedes the BitTorrent handshake."""
        return b""

    def receive(self, wire: Bytes) -> tuple[bytes, bytes]:
        """Hand the bytes up unchanged."""
        return bytes(wire), b""

    def send(self, app: Bytes) -> bytes:
        """Hand the bytes down unchanged."""
        return bytes(app)

    def flush(self) -> bytes:
        """Nothing is ever held back."""
        return b""

    def close(self) -> bytes:
        """Clear text has no goodbye."""
        return b""
