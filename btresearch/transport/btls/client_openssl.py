"""The marked fallback where utls has no wheel: it works, but its hello is OpenSSL's and no browser's."""

from __future__ import annotations

from OpenSSL import SSL

from btresearch.transport.btls.engine import TlsEngine
from btresearch.transport.btls.openssl import OpenSslEngine

_ALPN = [b"h2", b"http/1.1"]


class OpenSslClient:
    """Makes engines that dial; accepts any certificate, because the proof authenticates and TLS doesn't."""

    fallback = True

    def __init__(self) -> None:
        self._context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        self._context.set_min_proto_version(SSL.TLS1_2_VERSION)
        self._context.set_verify(SSL.VERIFY_NONE)
        self._context.set_alpn_protos(_ALPN)

    def __call__(self, sni: str | None = None) -> TlsEngine:
        """Return an engine for one connection; no SNI extension without a name."""
        connection = SSL.Connection(self._context, None)
        if sni is not None:
            connection.set_tlsext_host_name(sni.encode("idna"))
        connection.set_connect_state()
        return OpenSslEngine(connection, fallback=True)
