"""What btls needs of a TLS library, so that any one can be exchanged for another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, Protocol

from btresearch.transport.btls.keys import (
    EKM_BYTES,
    EXPORTER_LABEL,
    LOOKUP_KEY_BYTES,
    LOOKUP_LABEL,
    ChannelSecrets,
)
from btresearch.transport.protocol import Bytes

HashName = Literal["sha256", "sha384"]
"""The hash of a TLS 1.3 cipher suite, as hashlib and hmac call it."""


class TlsEngine(Protocol):
    """One TLS connection over memory buffers. Calls raise RemoteProtocolError when the other end errs."""

    @property
    def fallback(self) -> bool:
        """The hello on the wire is the library's own and not a browser's."""
        ...

    @property
    def tls13(self) -> bool:
        """TLS 1.3 was negotiated; meaningful after the handshake."""
        ...

    @property
    def algorithm(self) -> HashName:
        """Hash of the negotiated TLS 1.3 cipher suite; meaningful after the handshake."""
        ...

    @property
    def closed(self) -> bool:
        """The other end said close_notify."""
        ...

    def feed(self, wire: Bytes) -> None:
        """Take bytes from the wire."""
        ...

    def drain(self) -> bytes:
        """Return all bytes for the wire."""
        ...

    def handshake(self) -> bool:
        """Go on with the handshake; True once it is complete."""
        ...

    def records(self) -> Iterator[bytes]:
        """Yield decrypted application data; a server engine yields one record's content at a time."""
        ...

    def write(self, app: Bytes) -> None:
        """Encrypt; more than 16,384 bytes become full records and a rest."""
        ...

    def export(self, label: bytes, length: int) -> bytes:
        """TLS-Exporter(label, "", length) (RFC 8446 section 7.5)."""
        ...

    def forget(self) -> None:
        """Drop what only `export` needed: it is not called again."""
        ...

    def shutdown(self) -> None:
        """Say close_notify."""
        ...


ClientFactory = Callable[[str | None], TlsEngine]
"""SNI (or None) -> an engine that dials."""


def channel_secrets(engine: TlsEngine) -> ChannelSecrets:
    """Export EKM and K of a TLS 1.3 connection."""
    return ChannelSecrets(
        engine.export(EXPORTER_LABEL, EKM_BYTES), engine.export(LOOKUP_LABEL, LOOKUP_KEY_BYTES)
    )
