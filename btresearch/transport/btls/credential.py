"""What a member of a Full torrent holds: a short-lived chain with its private key, and the CAs it accepts."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from btresearch.transport.btls import chain as path
from btresearch.transport.btls.signature import PrivateKey, SignatureScheme, scheme_of
from btresearch.transport.errors import LocalProtocolError


@dataclass(frozen=True)
class Credential:
    """A chain (DER, leaf first, CA last, two or three) and the leaf's private key."""

    chain: tuple[bytes, ...]
    private_key: PrivateKey = field(repr=False)

    @classmethod
    def load(cls, chain_pem: bytes, key_pem: bytes) -> Credential:
        """Read PEM. Raises LocalProtocolError unless it is a key and a chain of its certificate."""
        try:
            certificates = x509.load_pem_x509_certificates(chain_pem)
            certified = certificates[0].public_key()
            key = load_pem_private_key(key_pem, None)
        except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion):  # TypeError: encrypted
            # No cause is chained: it might quote the key.
            raise LocalProtocolError("btls: the credential is no PEM chain with its private key") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey | Ed25519PrivateKey | rsa.RSAPrivateKey):
            raise LocalProtocolError("btls: the credential's key is none of P-256, Ed25519, RSA")
        if key.public_key() != certified or scheme_of(key.public_key()) is None:
            raise LocalProtocolError("btls: the credential's key is not the one that its leaf certifies")
        if not path.MIN_CHAIN <= len(certificates) <= path.MAX_CHAIN:
            raise LocalProtocolError("btls: a credential's chain is leaf, at most one issuer, and CA")
        return cls(tuple(each.public_bytes(Encoding.DER) for each in certificates), key)

    @cached_property
    def scheme(self) -> SignatureScheme:
        """What its CertificateVerify says. Raises LocalProtocolError for a key of no scheme."""
        scheme = scheme_of(self.private_key.public_key())
        if scheme is None:
            raise LocalProtocolError("btls: the private key is of no scheme that level full has")
        return scheme

    @cached_property
    def not_after_s(self) -> int:
        """When the first certificate of the chain expires, in Unix time."""
        return min(int(path.parse(each).not_valid_after_utc.timestamp()) for each in self.chain)

    @property
    def spki_sha256(self) -> bytes:
        """SHA-256 of the leaf's SubjectPublicKeyInfo: what a tracker's pin says of this member."""
        return path.spki_sha256(path.parse(self.chain[0]))


@dataclass(frozen=True)
class Member:
    """One's own credential, and the SPKI SHA-256 of the CAs whose members one talks to (`ca` of info.tls)."""

    credential: Credential
    ca: frozenset[bytes]
