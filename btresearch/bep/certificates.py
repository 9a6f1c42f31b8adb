"""Members' certificates with fixed keys and dates, so that a vector is the same on every machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    SECP384R1,
    EllipticCurvePrivateKey,
    derive_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from btresearch.bep.vector import example_bytes

Key = EllipticCurvePrivateKey | Ed25519PrivateKey

VALID_FROM = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
VALID = timedelta(hours=4)
CA_VALID = timedelta(days=3650)
NOW_S = int((VALID_FROM + timedelta(hours=1)).timestamp())
"""An hour after the leaf became valid, in Unix time."""

_CA_NAME = "example CA"
_UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.999.1"), b"\x05\x00")


@dataclass(frozen=True)
class FixedKey:
    """A private key from its 32 bytes: the scalar of P-256 or P-384 (big endian), or the seed of Ed25519."""

    scheme: int
    secret: bytes
    p384: bool = False

    @property
    def key(self) -> Key:
        """The key itself."""
        if self.scheme == 0x0807:
            return Ed25519PrivateKey.from_private_bytes(self.secret)
        return derive_private_key(
            int.from_bytes(self.secret, "big"), SECP384R1() if self.p384 else SECP256R1()
        )


P256_CA = FixedKey(0x0403, example_bytes("CA P-256"))
ED25519_CA = FixedKey(0x0807, example_bytes("CA Ed25519"))
P256_LEAF = FixedKey(0x0403, example_bytes("leaf P-256"))
P256_ISSUER = FixedKey(0x0403, example_bytes("intermediate P-256"))
P384_LEAF = FixedKey(0x0403, example_bytes("leaf P-256"), p384=True)
ED25519_LEAF = FixedKey(0x0807, example_bytes("leaf Ed25519"))


def urns(*infohashes: bytes) -> tuple[str, ...]:
    """The names of a leaf for these infohashes."""
    return tuple(
        f"urn:btih:{one.hex()}" if len(one) == 20 else f"urn:btmh:1220{one.hex()}" for one in infohashes
    )


@dataclass(frozen=True)
class Recipe:
    """One certificate; `replace` a field to make a wrong one. None leaves an extension out."""

    key: FixedKey
    subject: str = ""
    issuer: str = _CA_NAME
    valid_from: datetime = VALID_FROM
    valid: timedelta = VALID
    ca: bool | None = False
    ca_critical: bool = True
    path_length: int | None = None
    digital_signature: bool = True
    key_cert_sign: bool = False
    key_agreement: bool = False
    purposes: tuple[x509.ObjectIdentifier, ...] = ()
    names: tuple[str, ...] = ()
    names_critical: bool = True
    unknown_critical: bool | None = None

    def signed(self, signer: FixedKey, serial: int) -> bytes:
        """DER."""
        builder = (
            x509.CertificateBuilder(
                _name(self.issuer), _name(self.subject), self.key.key.public_key(), serial
            )
            .not_valid_before(self.valid_from)
            .not_valid_after(self.valid_from + self.valid)
        )
        for extension, critical in self._extensions():
            builder = builder.add_extension(extension, critical=critical)
        if isinstance(signer.key, Ed25519PrivateKey):
            return builder.sign(signer.key, None).public_bytes(Encoding.DER)
        return builder.sign(signer.key, SHA256(), ecdsa_deterministic=True).public_bytes(Encoding.DER)

    def _extensions(self) -> Iterator[tuple[x509.ExtensionType, bool]]:
        if self.ca is not None:
            yield x509.BasicConstraints(ca=self.ca, path_length=self.path_length), self.ca_critical
        if self.digital_signature or self.key_cert_sign or self.key_agreement:
            yield _usage(self), True
        if self.purposes:
            yield x509.ExtendedKeyUsage(self.purposes), False
        if self.names:
            names = [x509.UniformResourceIdentifier(name) for name in self.names]
            yield x509.SubjectAlternativeName(names), self.names_critical
        if self.unknown_critical is not None:
            yield _UNKNOWN, self.unknown_critical


def spki_sha256(key: FixedKey) -> bytes:
    """SHA-256 of a key's SubjectPublicKeyInfo, DER."""
    spki = key.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).digest()


def authority(key: FixedKey = P256_CA) -> Recipe:
    """The self-signed CA."""
    return Recipe(
        key, _CA_NAME, valid=CA_VALID, ca=True, path_length=0, digital_signature=False, key_cert_sign=True
    )


def intermediate() -> Recipe:
    """Between the CA, which must allow it, and a leaf."""
    return replace(authority(P256_ISSUER), subject="example issuer", path_length=None)


def member(key: FixedKey, names: Sequence[str]) -> Recipe:
    """A leaf."""
    return Recipe(key, purposes=(ExtendedKeyUsageOID.CLIENT_AUTH,), names=tuple(names))


def chain(*recipes: Recipe) -> tuple[bytes, ...]:
    """DER, leaf first; each is signed by the next, the last by itself."""
    signers = (*recipes[1:], recipes[-1])
    return tuple(
        recipe.signed(signer.key, len(recipes) - at)
        for at, (recipe, signer) in enumerate(zip(recipes, signers, strict=True))
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)] if text else [])


def _usage(recipe: Recipe) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=recipe.digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=recipe.key_agreement,
        key_cert_sign=recipe.key_cert_sign,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
