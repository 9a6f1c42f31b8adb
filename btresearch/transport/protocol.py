"""What every transport is: bytes in, bytes out; the caller owns the socket, the clock and the entropy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

Entropy = Callable[[int], bytes]
"""`entropy(n)` returns n random bytes; a seeded one makes clear and MSE connections repeatable."""

Bytes = bytes | bytearray | memoryview


@runtime_checkable
class Transport(Protocol):
    """Byte-stream security between a socket and the peer protocol, without I/O.

    One object serves one connection. Every method may raise `RemoteProtocolError` (see its `goodbye`) or
    `LocalProtocolError`; afterwards the object is dead.
    """

    @property
    def name(self) -> str:
        """Name in `TRANSPORTS`, settled once `ready` (an MSE method is negotiated)."""
        ...

    @property
    def ready(self) -> bool:
        """Application bytes may flow; `send` before that only queues."""
        ...

    @property
    def infohash(self) -> bytes | None:
        """The torrent that the handshake selected (MSE SKEY, btls proof); None where none did."""
        ...

    def start(self) -> bytes:
        """Return the first bytes for the wire; b"" for a responder. Called once."""
        ...

    def receive(self, wire: Bytes) -> tuple[bytes, bytes]:
        """Take what the socket read; return (application bytes, bytes to write to the socket)."""
        ...

    def send(self, app: Bytes) -> bytes:
        """Take application bytes; return the wire bytes that are due now (a shape may hold some back)."""
        ...

    def flush(self) -> bytes:
        """Return what the shape holds back; to be called when no more application data is pending."""
        ...

    def close(self) -> bytes:
        """Return the orderly goodbye (held bytes, then a TLS close_notify); b"" where there is none."""
        ...
