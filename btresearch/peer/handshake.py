"""The BitTorrent handshake, BEP 3: 68 bytes, the same from both ends."""

from __future__ import annotations

from dataclasses import dataclass

from btresearch.peer.errors import LocalProtocolError, RemoteProtocolError

PROTOCOL = b"\x13BitTorrent protocol"
HANDSHAKE_BYTES = 68
INFOHASH_BYTES = 20
PEER_ID_BYTES = 20

EXTENDED_BIT = 1 << 20
"""BEP 10: bit 20 counted from the right of the 64 reserved bits."""
FAST_BIT = 1 << 2
"""BEP 6: the third least significant bit of the last reserved byte."""
V2_BIT = 1 << 4
"""BEP 52: the fourth most significant bit of the last byte; the sender of a v1 infohash knows its v2 one."""
DHT_BIT = 1 << 0
"""BEP 5: the last bit. Never set here; there is no DHT node to name."""


@dataclass(frozen=True, slots=True)
class Handshake:
    """What a peer says first: which torrent, who it is (20 bytes each), and what it can do."""

    infohash: bytes
    peer_id: bytes
    reserved: int = EXTENDED_BIT | FAST_BIT

    @property
    def fast(self) -> bool:
        """Whether the sender speaks BEP 6."""
        return bool(self.reserved & FAST_BIT)

    @property
    def extended(self) -> bool:
        """Whether the sender speaks BEP 10."""
        return bool(self.reserved & EXTENDED_BIT)

    @property
    def v2(self) -> bool:
        """Whether the sender would have the connection upgraded to BEP 52."""
        return bool(self.reserved & V2_BIT)

    def encode(self) -> bytes:
        """The 68 bytes on the wire."""
        if len(self.infohash) != INFOHASH_BYTES or len(self.peer_id) != PEER_ID_BYTES:
            raise LocalProtocolError(
                f"infohash and peer_id are 20 bytes each, not {len(self.infohash)} and {len(self.peer_id)}"
            )
        return PROTOCOL + self.reserved.to_bytes(8, "big") + self.infohash + self.peer_id


def decode(data: bytes | bytearray | memoryview) -> Handshake | None:
    """The handshake at the start of `data`, or None while bytes are missing.

    Raises RemoteProtocolError at the first byte that no BitTorrent handshake has there.
    """
    start = bytes(data[: len(PROTOCOL)])
    if not PROTOCOL.startswith(start):
        raise RemoteProtocolError(
            f"handshake begins with {start.hex()}, not with BitTorrent's protocol string"
        )
    if len(data) < HANDSHAKE_BYTES:
        return None
    return Handshake(
        infohash=bytes(data[28:48]), peer_id=bytes(data[48:68]), reserved=int.from_bytes(data[20:28], "big")
    )
