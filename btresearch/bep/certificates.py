"""Members' certificates with fixed keys and dates, so that a vector is the same on every machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    derive_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from btresearch.bep.vector import example_bytes

Key = EllipticCurvePrivateKey | Ed25519PrivateKey

VALID_FROM = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
VALID = timedelta(hours=4)
CA_VALID = timedelta(days=3650)
NOW_S = int((VALID_FROM + timedelta(hours=1)).timestamp())
"""An hour after the leaf became valid, in Unix time."""

_CA_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "example CA")])
_NO_NAME = x509.Name([])


@dataclass(frozen=True)
class FixedKey:
    """A private key from its 32 bytes: the scalar of P-256 (big endian), or the seed of Ed25519."""

    scheme: int
    secret: bytes

    @property
    def key(self) -> Key:
        """The key itself."""
        if self.scheme == 0x0807:
            return Ed25519PrivateKey.from_private_bytes(self.secret)
        return derive_private_key(int.from_bytes(self.secret, "big"), SECP256R1())


P256_CA = FixedKey(0x0403, example_bytes("CA P-256"))
ED25519_CA = FixedKey(0x0807, example_bytes("CA Ed25519"))
P256_LEAF = FixedKey(0x0403, example_bytes("leaf P-256"))
ED25519_LEAF = FixedKey(0x0807, example_bytes("leaf Ed25519"))


def urns(*infohashes: bytes) -> tuple[str, ...]:
    """The names of a leaf for these infohashes."""
    return tuple(
        f"urn:btih:{one.hex()}" if len(one) == 20 else f"urn:btmh:1220{one.hex()}" for one in infohashes
    )


def ca_certificate(ca: FixedKey) -> x509.Certificate:
    """The self-signed CA."""
    builder = (
        _builder(_CA_NAME, ca, 1, CA_VALID)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
    )
    return _signed(builder, ca)


def leaf_certificate(
    leaf: FixedKey, ca: FixedKey, names: Sequence[str], *, server: bool = False
) -> x509.Certificate:
    """A member's; with `server`, its purpose is serverAuth, which no peer accepts."""
    purpose = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
    builder = (
        _builder(_NO_NAME, leaf, 2, VALID)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(name) for name in names]),
            critical=True,
        )
    )
    return _signed(builder, ca)


def chain(leaf: FixedKey, ca: FixedKey, names: Sequence[str], *, server: bool = False) -> tuple[bytes, ...]:
    """Leaf and CA, DER."""
    certificates = (leaf_certificate(leaf, ca, names, server=server), ca_certificate(ca))
    return tuple(each.public_bytes(Encoding.DER) for each in certificates)


def _builder(subject: x509.Name, key: FixedKey, serial: int, valid: timedelta) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(_CA_NAME)
        .public_key(key.key.public_key())
        .serial_number(serial)
        .not_valid_before(VALID_FROM)
        .not_valid_after(VALID_FROM + valid)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _signed(builder: x509.CertificateBuilder, ca: FixedKey) -> x509.Certificate:
    if isinstance(ca.key, Ed25519PrivateKey):
        return builder.sign(ca.key, None)
    return builder.sign(ca.key, SHA256(), ecdsa_deterministic=True)
