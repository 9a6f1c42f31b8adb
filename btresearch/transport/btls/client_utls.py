"""The dialling engine: BoringSSL through utls, with the ClientHello of Chromium 156."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import utls

from btresearch.transport.btls.engine import HashName, TlsEngine
from btresearch.transport.btls.exporter import ExporterSecrets, KeyLog, hash_of, tls13_exporter
from btresearch.transport.errors import RemoteProtocolError
from btresearch.transport.protocol import Bytes

_READ_BYTES = 32768
# BoringSSL's buffer moves its rest after each record, so a large read of the socket is poured in bit by bit.
_POUR_BYTES = 65536
# Record header 5, handshake header 4, legacy_version 2 (RFC 8446 sections 4.1.2 and 5.1).
_CLIENT_RANDOM = slice(11, 43)


def chromium_fingerprint() -> Any:
    """Return utls' newest Chrome preset with the trust anchors in order, as Chromium 156 sends them.

    The preset shuffles them on each connection, which no captured Chromium hello did.
    """
    fields = utls.Fingerprint.from_preset("chrome:stable").to_dict()
    anchors = sorted(_anchors(fields["trust_anchors"]), key=lambda anchor: anchor[1:])
    fields["trust_anchors"] = b"".join(anchors)
    fields["permute_trust_anchors"] = False
    return utls.Fingerprint.from_dict(fields)


def _anchors(extension: bytes) -> Iterator[bytes]:
    rest = bytes(extension)
    while rest:
        end = 1 + rest[0]
        yield rest[:end]
        rest = rest[end:]


class UtlsClient:
    """Makes engines that dial; one context and one in-memory key log serve all of a process' connections.

    Accepts any certificate: the proof authenticates, TLS doesn't.
    """

    fallback = False

    def __init__(self, keylog: KeyLog) -> None:
        # minimum_version stays as it is: raising it would drop TLS 1.2 from supported_versions, and every
        # Chrome offers it.
        self._context = utls.SSLContext(utls.PROTOCOL_TLS_CLIENT)
        self._context.check_hostname = False
        self._context.verify_mode = utls.CERT_NONE
        self._context.set_fingerprint(chromium_fingerprint())
        self._context.keylog_filename = keylog.path
        self._secrets = ExporterSecrets(keylog)

    def __call__(self, sni: str | None = None) -> TlsEngine:
        """Return an engine for one connection; no SNI extension without a name."""
        return UtlsEngine(self._context, self._secrets, sni)


class UtlsEngine:
    """One BoringSSL client connection over memory buffers."""

    fallback = False

    def __init__(self, context: Any, secrets: ExporterSecrets, sni: str | None) -> None:
        self.closed = False
        self._incoming, self._outgoing = utls.MemoryBIO(), utls.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=sni)
        self._secrets = secrets
        self._unread: deque[bytes] = deque()
        self._client_random = self._exporter_secret = b""

    @property
    def tls13(self) -> bool:
        """TLS 1.3 was negotiated."""
        return bool(self._tls.version() == "TLSv1.3")

    @property
    def algorithm(self) -> HashName:
        """Hash of the negotiated TLS 1.3 cipher suite."""
        return hash_of(self._exporter_secret)

    def feed(self, wire: Bytes) -> None:
        """Take bytes from the wire."""
        for start in range(0, len(wire), _POUR_BYTES):
            self._unread.append(bytes(wire[start : start + _POUR_BYTES]))

    def drain(self) -> bytes:
        """Return all bytes for the wire."""
        wire: bytes = self._outgoing.read() if self._outgoing.pending else b""
        if not self._client_random:
            self._client_random = wire[_CLIENT_RANDOM]
        return wire

    def handshake(self) -> bool:
        """Go on with the handshake. Raises RemoteProtocolError with the alert as its goodbye."""
        done = False
        while not done:
            try:
                self._tls.do_handshake()
                done = True
            except utls.SSLWantReadError:
                if not self._pour():
                    return False
            except utls.SSLError as error:
                raise self._failure("handshake", error) from error
        if self.tls13:
            self._exporter_secret = self._secrets.take(self._client_random)
        return True

    def records(self) -> Iterator[bytes]:
        """Yield decrypted data, several records at a time."""
        while not self.closed:
            try:
                data = self._tls.read(_READ_BYTES)
            except utls.SSLWantReadError:
                if not self._pour():
                    return
            except utls.SSLZeroReturnError:
                self.closed = True
            except utls.SSLError as error:
                raise self._failure("record", error) from error
            else:
                self.closed = not data
                yield data

    def write(self, app: Bytes) -> None:
        """Encrypt; BoringSSL cuts full records."""
        rest = app if isinstance(app, bytes) else bytes(app)
        while rest:
            rest = rest[self._tls.write(rest) :]

    def export(self, label: bytes, length: int) -> bytes:
        """TLS-Exporter(label, "", length)."""
        return tls13_exporter(self._exporter_secret, label, b"", length)

    def forget(self) -> None:
        """Drop the exporter secret."""
        self._exporter_secret = b""

    def shutdown(self) -> None:
        """Say close_notify; the other end's is not waited for."""
        try:
            self._tls.unwrap()
        except utls.SSLError:
            return

    def _pour(self) -> bool:
        if not self._unread:
            return False
        self._incoming.write(self._unread.popleft())
        return True

    def _failure(self, where: str, error: Exception) -> RemoteProtocolError:
        return RemoteProtocolError(f"TLS {where}: {type(error).__name__}", goodbye=self.drain())
