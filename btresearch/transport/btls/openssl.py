"""A `TlsEngine` on pyOpenSSL with memory buffers, for either end."""

from __future__ import annotations

from collections.abc import Iterator

from OpenSSL import SSL

from btresearch.transport.btls.engine import HashName
from btresearch.transport.btls.hello import RECORD_OVERHEAD_BYTES
from btresearch.transport.errors import RemoteProtocolError
from btresearch.transport.protocol import Bytes
from btresearch.transport.shape import MAX_RECORD_BYTES

_READ_BYTES = 16384


class OpenSslEngine:
    """One OpenSSL connection; `fallback` marks a client whose hello is OpenSSL's own."""

    def __init__(self, connection: SSL.Connection, *, fallback: bool = False) -> None:
        self.fallback = fallback
        self.closed = False
        self._connection = connection
        self._due_bytes = 0

    @property
    def tls13(self) -> bool:
        """TLS 1.3 was negotiated."""
        return bool(self._connection.get_protocol_version() == SSL.TLS1_3_VERSION)

    @property
    def algorithm(self) -> HashName:
        """Hash of the negotiated TLS 1.3 cipher suite."""
        return "sha384" if (self._connection.get_cipher_name() or "").endswith("SHA384") else "sha256"

    def feed(self, wire: Bytes) -> None:
        """Take bytes from the wire."""
        if wire:
            self._connection.bio_write(wire)

    def drain(self) -> bytes:
        """Return all bytes for the wire."""
        # One read of the expected size: bio_read copies twice, and a larger buffer costs page faults.
        size, self._due_bytes = self._due_bytes + _READ_BYTES, 0
        parts: list[bytes] = []
        try:
            while not parts or len(parts[-1]) == size:
                parts.append(self._connection.bio_read(size))
        except SSL.WantReadError:
            pass
        return b"".join(parts)

    def handshake(self) -> bool:
        """Go on with the handshake. Raises RemoteProtocolError with the alert as its goodbye."""
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            return False
        except SSL.Error as error:
            raise self._failure("handshake", error) from error
        return True

    def records(self) -> Iterator[bytes]:
        """Yield one record's content at a time."""
        recv = self._connection.recv
        try:
            while True:
                yield recv(MAX_RECORD_BYTES)
        except SSL.WantReadError:
            return
        except SSL.ZeroReturnError:
            self.closed = True
        except SSL.Error as error:
            raise self._failure("record", error) from error

    def write(self, app: Bytes) -> None:
        """Encrypt all of it: where a context allows partial writes, `send` would stop after one record."""
        if not app:
            return
        self._connection.sendall(app)
        self._due_bytes += len(app) + (len(app) // MAX_RECORD_BYTES + 1) * RECORD_OVERHEAD_BYTES

    def export(self, label: bytes, length: int) -> bytes:
        """TLS-Exporter(label, "", length)."""
        return self._connection.export_keying_material(label, length, b"")

    def forget(self) -> None:
        """The library keeps its exporter secret to itself."""

    def shutdown(self) -> None:
        """Say close_notify; a handshake that isn't complete has nothing to close."""
        try:
            self._connection.shutdown()
        except SSL.Error:
            return

    def _failure(self, where: str, error: SSL.Error) -> RemoteProtocolError:
        return RemoteProtocolError(f"TLS {where}: {_reason(error)}", goodbye=self.drain())


def _reason(error: SSL.Error) -> str:
    match error.args:
        case ([(_, _, reason), *_],):
            return str(reason)
    return type(error).__name__
