"""The certificate authority of a secure tracker: members' certificates for level Full (protocol.md, Full Strict).

Blocking: not for the event loop.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from btresearch.session.secure import keyfile
from btresearch.session.secure.csr import PublicKey

FILE = "ca.pem"
LIFE_S = 4 * 3600
"""The longest that a certificate may hold: it takes the place of a revocation list."""

_CA_LIFE = timedelta(days=3650)
BACKDATED_S = 60  # for a member whose clock is a little late; part of the four hours


def spki_sha256(key: PublicKey) -> bytes:
    """SHA-256 of a key's SubjectPublicKeyInfo: what `ca`, `tls_pins` and accounts call a pin."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()


def urn(infohash: bytes) -> str:
    """The name of a torrent in a certificate: urn:btih (v1, BEP 9), urn:btmh (v2, BEP 52: SHA-256's multihash)."""
    return f"urn:btih:{infohash.hex()}" if len(infohash) == 20 else f"urn:btmh:1220{infohash.hex()}"


@dataclass(frozen=True)
class Authority:
    """The CA's certificate and key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def kept(cls, folder: Path, *, now_s: int) -> Authority:
        """The CA of a state folder, made at its first use. Raises MembersError."""
        key, certificate = keyfile.kept(folder / FILE, lambda: _make(now_s))
        return cls(certificate, key)

    @property
    def pin(self) -> bytes:
        """SHA-256 of the SPKI: what goes into `ca` of info.tls."""
        return spki_sha256(self.key.public_key())

    def issue(
        self, key: PublicKey, infohashes: Sequence[bytes], *, serial: int, from_s: int, life_s: int
    ) -> x509.Certificate:
        """Sign a leaf for `key` and one torrent: every name in it comes from the member's entitlement."""
        if not 0 < life_s <= LIFE_S or not infohashes:
            raise ValueError(f"a certificate for {len(infohashes)} infohashes and {life_s} s")
        began = datetime.fromtimestamp(from_s, UTC)
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(urn(ih)) for ih in infohashes])
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        return (
            x509.CertificateBuilder(self.certificate.subject, x509.Name([]), key, serial)
            .not_valid_before(began - timedelta(seconds=BACKDATED_S))
            .not_valid_after(began - timedelta(seconds=BACKDATED_S) + timedelta(seconds=life_s))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            # RFC 5280 section 4.2.1.6: critical where the subject is empty
            .add_extension(names, critical=True)
            .add_extension(issuer, critical=False)
            .sign(self.key, hashes.SHA256())
        )


def not_after_s(from_s: int, life_s: int) -> int:
    """When a leaf issued at `from_s` expires."""
    return from_s - BACKDATED_S + life_s


def _make(now_s: int) -> keyfile.Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Members")])
    began = datetime.fromtimestamp(now_s, UTC) - timedelta(hours=1)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(began)
        .not_valid_after(began + _CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return key, certificate


def _usage(*, digital_signature: bool = False, certificates: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certificates,
        crl_sign=certificates,
        encipher_only=False,
        decipher_only=False,
    )
