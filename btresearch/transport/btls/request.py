"""Authenticator requests (RFC 9261 section 4): CertificateRequest (13), ClientCertificateRequest (17)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from btresearch.transport.btls.keys import Role
from btresearch.transport.btls.presentation import Reader, handshake, vector
from btresearch.transport.btls.signature import SignatureScheme

CONTEXT_BYTES = 32

KINDS: Mapping[Role, int] = MappingProxyType({"responder": 13, "initiator": 17})
"""Who asks -> handshake type: the TLS server certificate_request, the TLS client client_certificate_request."""

SIGNATURE_ALGORITHMS = 13


def encode(asker: Role, context: bytes) -> bytes:
    """Encode the request of `asker`: a context of 32 random bytes, and the three schemes, nothing else."""
    schemes = b"".join(scheme.to_bytes(2, "big") for scheme in SignatureScheme)
    extension = SIGNATURE_ALGORITHMS.to_bytes(2, "big") + vector(vector(schemes, 2), 2)
    return handshake(KINDS[asker], vector(context, 1) + vector(extension, 2))


def decode(asker: Role, message: bytes) -> tuple[bytes, frozenset[int]]:
    """Return context and signature schemes of a request; unknown extensions are ignored (section 5.2.1).

    Raises RemoteProtocolError for a wrong type, a context that is not of 32 bytes, an extension that comes
    twice, or no signature_algorithms.
    """
    outer = Reader(message, "authenticator request")
    body = Reader(outer.message(KINDS[asker])[4:], "authenticator request")
    outer.end()
    context = body.vector(1)
    if len(context) != CONTEXT_BYTES:
        raise body.wrong(f"has a context of {len(context)} bytes, expected {CONTEXT_BYTES}")
    extensions = _extensions(body.vector(2, least=2))
    body.end()
    if SIGNATURE_ALGORITHMS not in extensions:
        raise body.wrong("has no signature_algorithms")
    return context, _schemes(extensions[SIGNATURE_ALGORITHMS])


def _extensions(block: bytes) -> dict[int, bytes]:
    reader, found = Reader(block, "authenticator request"), dict[int, bytes]()
    while reader:
        kind, content = reader.number(2), reader.vector(2)
        if kind in found:
            raise reader.wrong(f"has extension {kind} twice")
        found[kind] = content
    return found


def _schemes(content: bytes) -> frozenset[int]:
    outer = Reader(content, "signature_algorithms")
    listed = Reader(outer.vector(2, least=2), "signature_algorithms")
    outer.end()
    found = set[int]()
    while listed:
        found.add(listed.number(2))
    return frozenset(found)
