"""libtorrent's SSL torrents (2012): BEP 3 inside TLS, both ends certified by the torrent's own authority.

The info dictionary's `ssl-cert` is that authority, in PEM. The initiator names the torrent in clear (SNI = 40 hex
digits of the infohash); each end shows a certificate whose name is the torrent's, or `*`. Sources: libtorrent
2.1.1, `torrent::init_ssl`, `torrent::verify_peer_cert`, and its SSL manual page; the wire as captured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID
from OpenSSL import SSL, crypto

from btresearch.errors import InputError
from btresearch.transport.btls.openssl import OpenSslEngine
from btresearch.transport.errors import LocalProtocolError, RemoteProtocolError
from btresearch.transport.protocol import Bytes

PrivateKey = EllipticCurvePrivateKey | RSAPrivateKey | Ed25519PrivateKey

ANY_TORRENT = "*"
MAX_CHAIN = 10
"""Certificates that a chain file may hold."""

_SNI_BYTES = 20
_PIECE_ID, _PIECE_HEADER_BYTES = 7, 13  # BEP 3: length, id, index, begin
_VERIFY = SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT | SSL.VERIFY_CLIENT_ONCE


@dataclass(frozen=True)
class PeerCertificate:
    """What this end shows: its certificate, those between it and the torrent's authority, and its key."""

    chain: tuple[x509.Certificate, ...]
    key: PrivateKey = field(repr=False)

    @classmethod
    def from_pem(cls, chain_pem: bytes, key_pem: bytes, source: str = "certificate") -> PeerCertificate:
        """Read both. Raises InputError for what is damaged, encrypted, or does not belong together."""
        try:
            chain = tuple(x509.load_pem_x509_certificates(chain_pem))
            certified = chain[0].public_key()
            key = load_pem_private_key(key_pem, None)
        except (
            ValueError,
            TypeError,
            UnsupportedAlgorithm,
            x509.InvalidVersion,
        ) as error:  # TypeError: encrypted
            raise InputError(source, "certificates and an unencrypted private key in PEM") from error
        if len(chain) > MAX_CHAIN or certified != key.public_key():
            raise InputError(source, f"at most {MAX_CHAIN} certificates, the first one of the private key")
        if not isinstance(key, PrivateKey):
            raise InputError(source, "an RSA, elliptic-curve or Ed25519 key")
        return cls(chain, key)


@dataclass(frozen=True)
class SslTorrent:
    """One torrent as its peers know it; `infohash` is the 20-byte one of the handshake."""

    infohash: bytes
    name: str
    authority_pem: bytes
    certificate: PeerCertificate

    @cached_property
    def context(self) -> SSL.Context:
        """The context of all its connections. Raises InputError for an authority that is no certificate."""
        context = _context(self.verify)
        for authority in certificates(self.authority_pem, "ssl-cert"):
            _trust(context, authority)
        leaf, *others = self.certificate.chain
        context.use_certificate(leaf)
        for issuer in others:
            context.add_extra_chain_cert(issuer)
        context.use_privatekey(self.certificate.key)
        return context

    def verify(self, _: SSL.Connection, certificate: crypto.X509, error: int, depth: int, ok: int) -> bool:
        """OpenSSL's judgement of the chain, and the leaf's name."""
        return bool(ok) and (depth > 0 or names_torrent(certificate.to_cryptography(), self.name))


def names_torrent(certificate: x509.Certificate, torrent_name: str) -> bool:
    """Whether it is a peer's of this torrent: a DNS name, or else the last common name, is the torrent's or `*`.

    libtorrent compares only as many bytes as the certificate has, so that a certificate for `a` opens `ab` too;
    here the names must be equal.
    """
    return any(name in (ANY_TORRENT, torrent_name) for name in _names(certificate))


def _names(certificate: x509.Certificate) -> Iterator[object]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        yield from extension.value.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        pass
    except (ValueError, x509.DuplicateExtension):  # a stranger's DER
        return
    common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    yield from (attribute.value for attribute in common[-1:])


class SslTorrentConnection:
    """Either end of one connection; made by `dial` and `accept`.

    Every message is to be a `send` of its own: its records are then those of libtorrent, which hands TLS the
    header of a block and the block one after the other.
    """

    name = "ssl_torrent"

    def __init__(self, connection: SSL.Connection, torrent: Callable[[], bytes | None]) -> None:
        self._engine = OpenSslEngine(connection)
        self._torrent = torrent
        self._queue: list[bytes] = []
        self._over = self._ready = False

    @property
    def ready(self) -> bool:
        """The TLS handshake is over. The responder has verified; the initiator may still be refused by it."""
        return self._ready and not self._over

    @property
    def infohash(self) -> bytes | None:
        """The torrent that the SNI names."""
        return self._torrent()

    @property
    def closed(self) -> bool:
        """The other end said close_notify."""
        return self._engine.closed

    def start(self) -> bytes:
        """Return the ClientHello, or nothing."""
        self._engine.handshake()
        return self._engine.drain()

    def receive(self, wire: Bytes) -> tuple[bytes, bytes]:
        """Take wire bytes; return (application bytes, reply). Raises RemoteProtocolError for a stranger."""
        self._alive()
        try:
            self._engine.feed(wire)
            if not self._ready and self._engine.handshake():
                self._begin()
            app = b"".join(self._engine.records()) if self._ready else b""
        except RemoteProtocolError:
            self._over = True
            raise
        return app, self._engine.drain()

    def send(self, app: Bytes) -> bytes:
        """Encrypt a message, or queue it until the handshake is over."""
        self._alive()
        if not self._ready:
            self._queue.append(bytes(app))
            return b""
        self._write(app)
        return self._engine.drain()

    def flush(self) -> bytes:
        """Nothing is held back."""
        return b""

    def close(self) -> bytes:
        """Say close_notify."""
        if self._over:
            return b""
        self._over = True
        self._engine.shutdown()
        return self._engine.drain()

    def _begin(self) -> None:
        self._ready = True
        for message in self._queue:
            self._write(message)
        self._queue.clear()

    def _write(self, message: Bytes) -> None:
        head = _PIECE_HEADER_BYTES if _is_block(message) else 0
        self._engine.write(message[:head])
        self._engine.write(message[head:])

    def _alive(self) -> None:
        if self._over:
            raise LocalProtocolError("ssl_torrent: used after it ended")


def dial(torrent: SslTorrent) -> SslTorrentConnection:
    """The initiator of a connection about `torrent`."""
    connection = SSL.Connection(torrent.context, None)
    connection.set_tlsext_host_name(torrent.infohash.hex().encode())
    connection.set_connect_state()
    return SslTorrentConnection(connection, lambda: torrent.infohash)


class SslTorrents:
    """The SSL torrents that a port serves, by the SNI that names them."""

    def __init__(self) -> None:
        self._torrents: dict[bytes, SslTorrent] = {}
        # Without a certificate of its own: an unknown SNI, or none, ends in a handshake_failure alert.
        # It verifies, so that OpenSSL resumes no session that began under another torrent's authority.
        self._context = _context(lambda *_: False)
        self._context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        self._context.set_tlsext_servername_callback(self._choose)

    def __len__(self) -> int:
        return len(self._torrents)

    def add(self, torrent: SslTorrent) -> None:
        """Serve this torrent. Raises InputError for an authority that is no certificate."""
        _ = torrent.context  # made here, so that what is wrong with it is known before anybody connects
        self._torrents[torrent.infohash] = torrent

    def get(self, infohash: bytes) -> SslTorrent | None:
        """The torrent of this infohash."""
        return self._torrents.get(infohash)

    def accept(self) -> SslTorrentConnection:
        """The responder of one connection; its first bytes say which torrent it is about."""
        connection = SSL.Connection(self._context, None)
        connection.set_accept_state()
        chosen: list[bytes] = []
        connection.set_app_data(chosen)
        return SslTorrentConnection(connection, lambda: chosen[0] if chosen else None)

    def _choose(self, connection: SSL.Connection) -> None:
        torrent = self._torrents.get(_infohash(connection.get_servername() or b""))
        if torrent is None:
            return
        connection.set_context(torrent.context)
        # SSL_set_SSL_CTX changes certificate and anchors; how to verify stays the connection's own.
        connection.set_verify(_VERIFY, torrent.verify)
        connection.get_app_data().append(torrent.infohash)


def _infohash(sni: bytes) -> bytes:
    try:
        return bytes.fromhex(sni.decode("ascii")) if len(sni) == 2 * _SNI_BYTES else b""
    except ValueError:
        return b""


def _is_block(message: Bytes) -> bool:
    return len(message) > _PIECE_HEADER_BYTES and message[4] == _PIECE_ID


def _context(verify: Callable[[SSL.Connection, crypto.X509, int, int, int], bool]) -> SSL.Context:
    """As libtorrent's: any version that the library offers (1.2 and 1.3), its own cipher order, no ALPN."""
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_verify(_VERIFY, verify)
    return context


def _trust(context: SSL.Context, authority: x509.Certificate) -> None:
    try:
        context.get_cert_store().add_cert(crypto.X509.from_cryptography(authority))  # type: ignore[union-attr]
    except crypto.Error as error:  # OpenSSL reads at once what cryptography reads when it is asked
        raise InputError("ssl-cert", "a certificate that OpenSSL can read") from error


def certificates(pem: bytes, source: str) -> list[x509.Certificate]:
    """Read what `ssl-cert` holds. Raises InputError."""
    try:
        return x509.load_pem_x509_certificates(pem)
    except (ValueError, x509.InvalidVersion) as error:
        raise InputError(source, "a certificate in PEM") from error
