"""Exported authenticators (RFC 9261 section 5): Certificate || CertificateVerify || Finished.

All are functions of the two exported values, the request and a credential, so that vectors can fix them:

    transcript 1   Hash(handshake_context || request || Certificate)
    signed         0x20 * 64 || "Exported Authenticator" || 0x00 || transcript 1
    transcript 2   Hash(handshake_context || request || Certificate || CertificateVerify)
    Finished       HMAC(finished_key, transcript 2)

Every message stands there whole, with its 4-byte handshake header; Hash is the cipher suite's.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field

from btresearch.transport.btls.chain import MAX_CHAIN, parse
from btresearch.transport.btls.credential import Credential
from btresearch.transport.btls.engine import HashName, TlsEngine
from btresearch.transport.btls.keys import Role
from btresearch.transport.btls.presentation import Reader, handshake, vector
from btresearch.transport.btls.signature import sign, verify
from btresearch.transport.errors import RemoteProtocolError

CERTIFICATE, CERTIFICATE_VERIFY, FINISHED = 11, 15, 20
SIGNATURE_CONTEXT = b"Exported Authenticator"

_SIDES: dict[Role, bytes] = {"initiator": b"client", "responder": b"server"}


@dataclass(frozen=True)
class AuthenticatorKeys:
    """What the sender of an authenticator and its receiver both export (section 5.1), with the suite's hash."""

    handshake_context: bytes = field(repr=False)
    finished_key: bytes = field(repr=False)
    algorithm: HashName


def export_keys(engine: TlsEngine, sender: Role) -> AuthenticatorKeys:
    """Export the keys of the authenticator that `sender` sends; context empty, length the hash's."""
    label = b"EXPORTER-" + _SIDES[sender] + b" authenticator "
    length = hashlib.new(engine.algorithm).digest_size
    return AuthenticatorKeys(
        engine.export(label + b"handshake context", length),
        engine.export(label + b"finished key", length),
        engine.algorithm,
    )


def build(keys: AuthenticatorKeys, request: bytes, context: bytes, credential: Credential) -> bytes:
    """Answer `request` (the whole message), whose context is `context`."""
    certificate = encode_certificate(context, credential.chain)
    signature = sign(credential.private_key, signed_content(keys, request, certificate))
    verification = handshake(CERTIFICATE_VERIFY, credential.scheme.to_bytes(2, "big") + vector(signature, 2))
    finished = handshake(FINISHED, finished_mac(keys, request, certificate, verification))
    return certificate + verification + finished


def verified(keys: AuthenticatorKeys, request: bytes, context: bytes, message: bytes) -> tuple[bytes, ...]:
    """Return the chain (DER) whose leaf's key answered `request` on this connection; the chain is not judged.

    Raises RemoteProtocolError; for an empty authenticator (section 6), too.
    """
    reader = Reader(message, "authenticator")
    if message[:1] == bytes([FINISHED]):
        raise reader.wrong("is empty")
    certificate, verification = reader.message(CERTIFICATE), reader.message(CERTIFICATE_VERIFY)
    finished = reader.message(FINISHED)
    reader.end()
    expected = handshake(FINISHED, finished_mac(keys, request, certificate, verification))
    if not hmac.compare_digest(finished, expected):
        raise reader.wrong("is not of this connection and request")
    echoed, chain = decode_certificate(certificate)
    if not hmac.compare_digest(echoed, context):
        raise reader.wrong("echoes another context")
    scheme, signature = _decode_verification(verification)
    verify(parse(chain[0]).public_key(), scheme, signature, signed_content(keys, request, certificate))
    return chain


def signed_content(keys: AuthenticatorKeys, request: bytes, certificate: bytes) -> bytes:
    """What CertificateVerify signs (section 5.2.2)."""
    return b" " * 64 + SIGNATURE_CONTEXT + b"\0" + _transcript(keys, request, certificate)


def finished_mac(keys: AuthenticatorKeys, request: bytes, certificate: bytes, verification: bytes) -> bytes:
    """verify_data of Finished (section 5.2.3)."""
    transcript = _transcript(keys, request, certificate, verification)
    return hmac.digest(keys.finished_key, transcript, keys.algorithm)


def _transcript(keys: AuthenticatorKeys, *messages: bytes) -> bytes:
    return hashlib.new(keys.algorithm, keys.handshake_context + b"".join(messages)).digest()


def encode_certificate(context: bytes, chain: Sequence[bytes]) -> bytes:
    """Encode a Certificate message (RFC 8446 section 4.4.2) whose entries have no extensions."""
    entries = b"".join(vector(der, 3) + vector(b"", 2) for der in chain)
    return handshake(CERTIFICATE, vector(context, 1) + vector(entries, 3))


def decode_certificate(message: bytes) -> tuple[bytes, tuple[bytes, ...]]:
    """Return context and chain (DER) of a Certificate message.

    Raises RemoteProtocolError; for extensions too, because a request offers none that an entry may carry.
    """
    body = Reader(message[4:], "Certificate")
    context, entries = body.vector(1), Reader(body.vector(3), "Certificate")
    body.end()
    chain: list[bytes] = []
    while entries:
        chain.append(entries.vector(3, least=1))
        if entries.vector(2):
            raise entries.wrong("has an extension that was not asked for")
    if not 0 < len(chain) <= MAX_CHAIN:
        raise RemoteProtocolError(f"btls: Certificate has {len(chain)} entries, expected 1 to {MAX_CHAIN}")
    return context, tuple(chain)


def _decode_verification(message: bytes) -> tuple[int, bytes]:
    body = Reader(message[4:], "CertificateVerify")
    scheme, signature = body.number(2), body.vector(2)
    body.end()
    return scheme, signature
