"""A responder's certificate chain: self-made, and of the size that public sites show.

TLS 1.3 hides what is in a Certificate message and not how long it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from OpenSSL import SSL, crypto

from btresearch.transport.btls.server_openssl import server_context
from btresearch.transport.errors import LocalProtocolError
from btresearch.transport.protocol import Entropy

CHAIN_BYTES = (2000, 2600)
"""DER bytes of leaf and issuer together; public two-certificate chains lie here."""

_LEAF_LIFE = timedelta(days=90)
_ISSUER_LIFE = timedelta(days=3650)
_MAX_AGE_DAYS = 60
_DAMAGE = (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion)  # TypeError: an encrypted key
_LETTERS = b"abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class ServerIdentity:
    """A P-256 leaf, its issuer and the leaf's private key. Keep one per external address (`pem`)."""

    leaf: x509.Certificate
    issuer: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def create(cls, *, now_s: int, entropy: Entropy) -> ServerIdentity:
        """Make a new identity. Names, age and size are drawn, so that no two share a constant."""
        issuer_key = rsa.generate_private_key(65537, 2048)
        key = ec.generate_private_key(ec.SECP256R1())
        began = datetime.fromtimestamp(now_s, UTC) - timedelta(days=1 + _draw(entropy, _MAX_AGE_DAYS))
        domain = _word(entropy) + ".lan"
        issuer = _issuer(issuer_key, f"{_word(entropy).title()} CA", began)
        low, high = CHAIN_BYTES
        wanted = low + _draw(entropy, high - low) - _size(issuer)
        names = [domain]
        while _size(leaf := _leaf(key, issuer, issuer_key, names, began)) < wanted:
            names.append(f"{_word(entropy)}.{domain}")
        return cls(leaf, issuer, key)

    @classmethod
    def from_pem(cls, pem: bytes) -> ServerIdentity:
        """Read what `pem` wrote. Raises LocalProtocolError for anything else."""
        try:
            key = serialization.load_pem_private_key(pem, None)
            leaf, issuer = x509.load_pem_x509_certificates(pem)
            certified = leaf.public_key()
        except _DAMAGE as error:
            raise LocalProtocolError("btls: the identity file is damaged; remove it") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or certified != key.public_key():
            raise LocalProtocolError("btls: the identity file has no P-256 key of its leaf; remove it")
        return cls(leaf, issuer, key)._usable()

    def _usable(self) -> Self:
        """Put to use now what is otherwise read when it is asked for. Raises LocalProtocolError."""
        try:
            _ = self.context, self.leaf.not_valid_before_utc, self.leaf.not_valid_after_utc
        except (*_DAMAGE, SSL.Error, crypto.Error) as error:
            raise LocalProtocolError("btls: the identity file is damaged; remove it") from error
        return self

    def pem(self) -> bytes:
        """Private key, leaf and issuer as PEM; as secret as the key."""
        encoding = serialization.Encoding.PEM
        key = self.key.private_bytes(
            encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return key + self.leaf.public_bytes(encoding) + self.issuer.public_bytes(encoding)

    @cached_property
    def context(self) -> SSL.Context:
        """The TLS context that all connections of this identity share."""
        return server_context((self.leaf, self.issuer), self.key)


def _issuer(key: rsa.RSAPrivateKey, name: str, began: datetime) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(began)
        .not_valid_after(began + _ISSUER_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _leaf(
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Certificate,
    issuer_key: rsa.RSAPrivateKey,
    names: list[str],
    began: datetime,
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    return (
        x509.CertificateBuilder(issuer.subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(began)
        .not_valid_after(began + _LEAF_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(authority, critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )


def _size(certificate: x509.Certificate) -> int:
    return len(certificate.public_bytes(serialization.Encoding.DER))


def _draw(entropy: Entropy, below: int) -> int:
    return int.from_bytes(entropy(4), "big") % below


def _word(entropy: Entropy) -> str:
    return bytes(_LETTERS[byte % len(_LETTERS)] for byte in entropy(5 + _draw(entropy, 6))).decode()
