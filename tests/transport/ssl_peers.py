"""Authorities and peers of SSL torrents."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from btresearch.transport.ssl_torrent import (
    PeerCertificate,
    SslTorrent,
    SslTorrentConnection,
    SslTorrents,
    dial,
)

NAME = "album of pictures"
INFOHASH = hashlib.sha1(b"an SSL torrent").digest()
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Authority:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    def issue(
        self,
        *sans: str,
        common: str = "",
        usage: ObjectIdentifier | None = None,
        ends: timedelta = DAY,
        ca: bool = False,
    ) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        """A certificate below this one, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.NameAttribute(NameOID.COMMON_NAME, common)] if common else []
        builder = _builder(x509.Name(names), self.certificate.subject, key.public_key(), ends, ca=ca)
        if sans:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([x509.DNSName(name) for name in sans]), critical=False
            )
        if usage is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        return builder.sign(self.key, hashes.SHA256()), key

    def peer(self, *sans: str, **options: object) -> PeerCertificate:
        """What a peer holds."""
        return held(*self.issue(*sans, **options))  # type: ignore[arg-type]


def authority(name: str = "root", *, ends: timedelta = DAY) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = _builder(subject, subject, key.public_key(), ends, ca=True)
    return Authority(builder.sign(key, hashes.SHA256()), key)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    ends: timedelta,
    *,
    ca: bool,
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder(issuer, subject, key, x509.random_serial_number())
        .not_valid_before(now - 10 * DAY)
        .not_valid_after(now + ends)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )


def pem_of(*chain: x509.Certificate) -> bytes:
    return b"".join(one.public_bytes(Encoding.PEM) for one in chain)


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def held(
    leaf: x509.Certificate, key: ec.EllipticCurvePrivateKey, *others: x509.Certificate
) -> PeerCertificate:
    return PeerCertificate.from_pem(pem_of(leaf, *others), key_pem(key))


@cache
def root() -> Authority:
    return authority()


@cache
def member() -> PeerCertificate:
    return root().peer("*")


def torrent(
    certificate: PeerCertificate | None = None, *, name: str = NAME, infohash: bytes = INFOHASH
) -> SslTorrent:
    return SslTorrent(infohash, name, root().pem, certificate or member())


def serving(*torrents: SslTorrent) -> SslTorrents:
    served = SslTorrents()
    for one in torrents or (torrent(),):
        served.add(one)
    return served


def ssl_pair(
    initiator: PeerCertificate | None = None, responder: PeerCertificate | None = None
) -> tuple[SslTorrentConnection, SslTorrentConnection]:
    return dial(torrent(initiator)), serving(torrent(responder)).accept()


CLIENT_ONLY = ExtendedKeyUsageOID.CLIENT_AUTH
