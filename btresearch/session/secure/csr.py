"""A certificate request: only its public key counts, and the proof that its sender holds the private one."""

from __future__ import annotations

import base64
import binascii

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from btresearch.session.secure.errors import Refused
from btresearch.transport.btls.signature import scheme_of

MAX_BODY_BYTES = 16 * 1024

PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey


def public_key(body: bytes) -> PublicKey:
    """The key of a PKCS #10 request (RFC 2986) in base64 (RFC 7030 section 4.2.1). Names in it are not read.

    Raises Refused: no request, a key of another kind, or a signature that is not the key's own.
    """
    if len(body) > MAX_BODY_BYTES:
        raise Refused(413, "the request is too large")
    try:
        request = x509.load_der_x509_csr(base64.b64decode(b"".join(body.split()), validate=True))
        key = request.public_key()
    except (binascii.Error, ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise Refused(400, "expected a PKCS #10 request in base64") from error
    if scheme_of(key) is None:  # what no other member would accept
        raise Refused(400, "expected a key of kind P-256, Ed25519 or RSA of 2048 to 4096 bits")
    if not _is_signed_by_its_key(request):
        raise Refused(400, "the request's signature does not hold")
    return key  # type: ignore[return-value]  # scheme_of has narrowed it


def _is_signed_by_its_key(request: x509.CertificateSigningRequest) -> bool:
    try:
        digest = request.signature_hash_algorithm
        strong = digest is None or isinstance(digest, hashes.SHA256 | hashes.SHA384 | hashes.SHA512)
        return strong and request.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False
