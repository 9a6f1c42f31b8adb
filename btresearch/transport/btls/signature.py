"""The three signature schemes of level Full: requested, and accepted in messages and certificates alike."""

from __future__ import annotations

from enum import IntEnum

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from btresearch.transport.errors import LocalProtocolError, RemoteProtocolError

RSA_BITS = (2048, 4096)
RSA_EXPONENT = 65537
PSS_SALT_BYTES = 32

PrivateKey = ec.EllipticCurvePrivateKey | Ed25519PrivateKey | rsa.RSAPrivateKey


class SignatureScheme(IntEnum):
    """RFC 8446 section 4.2.3, in the order in which a request names them."""

    ECDSA_SECP256R1_SHA256 = 0x0403
    ED25519 = 0x0807
    RSA_PSS_RSAE_SHA256 = 0x0804


def scheme_of(key: object) -> SignatureScheme | None:
    """Return the one scheme of a public key; None where it has none of the three."""
    match key:
        case ec.EllipticCurvePublicKey(curve=ec.SECP256R1()):
            return SignatureScheme.ECDSA_SECP256R1_SHA256
        case Ed25519PublicKey():
            return SignatureScheme.ED25519
        case rsa.RSAPublicKey() if _is_ordinary(key):
            return SignatureScheme.RSA_PSS_RSAE_SHA256
    return None


def _is_ordinary(key: rsa.RSAPublicKey) -> bool:
    """A modulus or exponent without bounds would let a stranger choose our work."""
    low, high = RSA_BITS
    return low <= key.key_size <= high and key.public_numbers().e == RSA_EXPONENT


def sign(key: PrivateKey, message: bytes) -> bytes:
    """Sign; Ed25519 and ECDSA (RFC 6979) give the same bytes each time, RSA-PSS never does."""
    match key:
        case ec.EllipticCurvePrivateKey():
            return key.sign(message, ec.ECDSA(SHA256(), deterministic_signing=True))
        case Ed25519PrivateKey():
            return key.sign(message)
        case rsa.RSAPrivateKey():
            return key.sign(message, _pss(), SHA256())
    raise LocalProtocolError("btls: the private key is of no scheme that level full has")


def verify(key: object, scheme: int, signature: bytes, message: bytes) -> None:
    """Raise RemoteProtocolError unless `signature` is `key`'s, by `scheme`, over `message`."""
    if scheme_of(key) != scheme:
        raise RemoteProtocolError(f"btls: signature scheme 0x{scheme:04x} is not the certificate's")
    try:
        match key:
            case ec.EllipticCurvePublicKey():
                key.verify(signature, message, ec.ECDSA(SHA256()))
            case Ed25519PublicKey():
                key.verify(signature, message)
            case rsa.RSAPublicKey():
                key.verify(signature, message, _pss(), SHA256())
    except InvalidSignature:
        raise RemoteProtocolError("btls: CertificateVerify does not hold") from None


def _pss() -> padding.PSS:
    return padding.PSS(padding.MGF1(SHA256()), PSS_SALT_BYTES)
