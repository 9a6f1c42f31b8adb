"""The accepting engine: OpenSSL as an ordinary HTTPS server configures it."""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.x509 import Certificate
from OpenSSL import SSL

from btresearch.transport.btls.engine import TlsEngine
from btresearch.transport.btls.openssl import OpenSslEngine

_ALPN = b"http/1.1"


def server_context(chain: tuple[Certificate, ...], key: EllipticCurvePrivateKey) -> SSL.Context:
    """Build a context that shows `chain` (leaf first), never asks for a certificate, never selects h2.

    TLS 1.2 stays on, for the decoy: a site that refuses it would stand out. Tickets are the library's own.
    """
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_verify(SSL.VERIFY_NONE)
    context.use_certificate(chain[0])
    for issuer in chain[1:]:
        context.add_extra_chain_cert(issuer)
    context.use_privatekey(key)
    context.set_alpn_select_callback(_select_alpn)
    return context


def _select_alpn(_connection: SSL.Connection, offered: list[bytes]) -> bytes | Any:
    return _ALPN if _ALPN in offered else SSL.NO_OVERLAPPING_PROTOCOLS


def accept(context: SSL.Context) -> TlsEngine:
    """Return an engine for one accepted connection."""
    connection = SSL.Connection(context, None)
    connection.set_accept_state()
    return OpenSslEngine(connection)
