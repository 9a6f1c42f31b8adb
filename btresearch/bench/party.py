"""Both ends of one connection at every level, without sockets: keys, certificates, authorities of a bench."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from btresearch.session.keylog import MemoryKeyLog
from btresearch.transport import Clear, MseInitiator, MseResponder, Transport
from btresearch.transport.btls import (
    ClientFactory,
    Credential,
    Initiator,
    Keyring,
    Member,
    Responder,
    ServerIdentity,
    TorrentKey,
    best_client,
)
from btresearch.transport.mse.wire import Method
from btresearch.transport.ssl_torrent import PeerCertificate, SslTorrent, SslTorrents, dial

LIFETIME = timedelta(hours=4)
"""Of a member's certificate (protocol.md, Enrolment)."""


class MemberAuthority:
    """The CA of a torrent of level Full."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._sign(
            _name("Members"),
            self._key.public_key(),
            [(x509.BasicConstraints(ca=True, path_length=0), True), (_usage(key_cert_sign=True), True)],
        )

    @property
    def spki_sha256(self) -> bytes:
        """What `ca` in info.tls holds."""
        spki = self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return hashlib.sha256(spki).digest()

    def member(self, infohash: bytes) -> Member:
        """A new member of a v1 torrent."""
        key = ec.generate_private_key(ec.SECP256R1())
        urn = x509.UniformResourceIdentifier(f"urn:btih:{infohash.hex()}")
        leaf = self._sign(
            x509.Name([]),
            key.public_key(),
            [
                (x509.SubjectAlternativeName([urn]), True),
                (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False),
                (_usage(digital_signature=True), True),
            ],
        )
        chain = tuple(one.public_bytes(Encoding.DER) for one in (leaf, self.certificate))
        return Member(Credential(chain, key), frozenset({self.spki_sha256}))

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        extensions: list[tuple[x509.ExtensionType, bool]],
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(_name("Members"), subject, key, x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(minutes=1)).not_valid_after(now + LIFETIME)
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(self._key, hashes.SHA256())


@dataclass(frozen=True)
class Party:
    """What both ends know of one torrent; contexts and keys are made once, as in a process that runs for long."""

    infohash: bytes
    secret: bytes = bytes(32)

    def pair(self, transport: str) -> tuple[Transport, Transport]:
        """A new initiator and a new responder."""
        return _PAIRS[transport](self)

    def initiator(self, transport: str) -> Transport:
        """A new initiator alone."""
        return self.pair(transport)[0]

    @cached_property
    def client(self) -> ClientFactory:
        """Of all dialled btls connections."""
        return best_client(MemoryKeyLog())

    @cached_property
    def identity(self) -> ServerIdentity:
        """Of all accepted btls connections."""
        return ServerIdentity.create(now_s=int(time.time()), entropy=os.urandom)

    @cached_property
    def members(self) -> tuple[Member, Member]:
        """Of level Full: the initiator's credential, the responder's."""
        authority = MemberAuthority()
        return authority.member(self.infohash), authority.member(self.infohash)

    @cached_property
    def ssl(self) -> SslTorrents:
        """The torrent as an SSL torrent, served by both ends with one certificate."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(
            _name("*"), _name("*"), key.public_key(), x509.random_serial_number()
        )
        builder = builder.not_valid_before(now - timedelta(minutes=1)).not_valid_after(now + LIFETIME)
        alone = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True).sign(
            key, hashes.SHA256()
        )
        served = SslTorrents()
        pem = alone.public_bytes(Encoding.PEM)
        served.add(SslTorrent(self.infohash, "bench", pem, PeerCertificate((alone,), key)))
        return served

    def btls(self, level: str) -> tuple[Transport, Transport]:
        """A pair of a btls level."""
        key = TorrentKey.derive(self.infohash, level, b"" if level == "basic" else self.secret)  # type: ignore[arg-type]  # from a table
        mine, theirs = self.members if level == "full" else (None, None)
        return (
            Initiator(key, client=self.client, member=mine, entropy=os.urandom, now_s=time.time),
            Responder(
                Keyring([key]), self.identity, member_of=lambda _: theirs, entropy=os.urandom, now_s=time.time
            ),
        )


def _ssl_pair(party: Party) -> tuple[Transport, Transport]:
    torrent = party.ssl.get(party.infohash)
    assert torrent is not None
    return dial(torrent), party.ssl.accept()


def _mse_pair(party: Party) -> tuple[Transport, Transport]:
    methods: tuple[Method, ...] = ("rc4",)
    return (
        MseInitiator(party.infohash, entropy=os.urandom, methods=methods),
        MseResponder([party.infohash], entropy=os.urandom),
    )


_PAIRS: dict[str, Callable[[Party], tuple[Transport, Transport]]] = {
    "clear": lambda _: (Clear(), Clear()),
    "mse_rc4": _mse_pair,
    "btls_basic": lambda party: party.btls("basic"),
    "btls_strict": lambda party: party.btls("strict"),
    "btls_full": lambda party: party.btls("full"),
    "ssl_torrent": _ssl_pair,
}
TRANSPORTS = tuple(_PAIRS)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
