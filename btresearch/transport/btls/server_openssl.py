"""The accepting engine: OpenSSL as an ordinary HTTPS server configures it."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.x509 import Certificate
from OpenSSL import SSL
from OpenSSL._util import lib

from btresearch.transport.btls.engine import TlsEngine
from btresearch.transport.btls.openssl import OpenSslEngine
from btresearch.transport.errors import LocalProtocolError

_ALPN = (b"http/1.1", b"http/1.0", b"http/0.9")
# What nginx 1.22.1 with Debian's configuration says (see `btresearch probe`); a stranger sees the difference.
_CIPHERS = b"HIGH:!aNULL:!MD5"
_GROUPS = b"X25519:P-256:X448:P-521:P-384:ffdhe2048:ffdhe3072:ffdhe4096:ffdhe6144:ffdhe8192"
_TICKET_LIFE_S = 300
_SESSION_CONTEXT = b"\x01" * 20  # not on the wire, but its length is part of a ticket's


class NoCommonProtocol(SSL.Error):
    """The client offers ALPN without any HTTP/1: alert 120 (RFC 7301 section 3.2)."""


def server_context(chain: tuple[Certificate, ...], key: EllipticCurvePrivateKey) -> SSL.Context:
    """Build a context that shows `chain` (leaf first), never asks for a certificate, never selects h2.

    All else is as nginx sets it: TLS 1.2 and 1.3 by the server's preference, two tickets of 300 s, an
    acknowledged server name, no renegotiation.
    """
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_verify(SSL.VERIFY_NONE)
    context.use_certificate(chain[0])
    for issuer in chain[1:]:
        context.add_extra_chain_cert(issuer)
    context.use_privatekey(key)
    # Many records a call, as `OpenSslEngine.write` wants.
    context.clear_mode(lib.SSL_MODE_ENABLE_PARTIAL_WRITE)
    _configure_like_nginx(context)
    return context


def _configure_like_nginx(context: SSL.Context) -> None:
    context.set_cipher_list(_CIPHERS)
    context.set_options(SSL.OP_CIPHER_SERVER_PREFERENCE | SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_COMPRESSION)
    context.set_options(SSL.OP_IGNORE_UNEXPECTED_EOF)
    context.set_session_cache_mode(
        SSL.SESS_CACHE_SERVER | SSL.SESS_CACHE_NO_AUTO_CLEAR | SSL.SESS_CACHE_NO_INTERNAL
    )
    context.set_session_id(_SESSION_CONTEXT)
    context.set_timeout(_TICKET_LIFE_S)
    context.set_alpn_select_callback(_select_alpn)
    context.set_tlsext_servername_callback(lambda _connection: None)
    _set_groups(context)


def _set_groups(context: SSL.Context) -> None:
    """The groups of OpenSSL 3.0: a later library would select ML-KEM. pyOpenSSL has no call for it."""
    if lib.SSL_CTX_set1_curves_list(context._context, _GROUPS) != 1:
        raise LocalProtocolError("btls: this OpenSSL does not know the groups of an ordinary server")


def _select_alpn(_connection: SSL.Connection, offered: list[bytes]) -> bytes:
    for name in _ALPN:
        if name in offered:
            return name
    raise NoCommonProtocol("no common application protocol")


def accept(context: SSL.Context) -> TlsEngine:
    """Return an engine for one accepted connection."""
    connection = SSL.Connection(context, None)
    connection.set_accept_state()
    return OpenSslEngine(connection)
