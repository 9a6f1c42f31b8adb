"""The TLS identity of a secure tracker: the operator's own, or a self-made one that accounts pin."""

from __future__ import annotations

import ipaddress
import ssl
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from btresearch.session.secure import keyfile
from btresearch.session.secure.authority import spki_sha256
from btresearch.session.secure.errors import MembersError

FILE = "server.pem"
_LIFE = timedelta(days=3650)


def kept(folder: Path, host: str, *, now_s: int) -> Path:
    """The file of the self-made identity, made at its first use. Raises MembersError."""
    path = folder / FILE
    keyfile.kept(path, lambda: _make(host, now_s))
    return path


def context(chain: Path, key: Path) -> tuple[ssl.SSLContext, bytes]:
    """TLS 1.2 and 1.3, and the pin: SHA-256 of the leaf's SPKI. Raises MembersError."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.set_alpn_protocols(["http/1.1"])
    try:
        # An empty password, so that OpenSSL never asks for one at the terminal.
        made.load_cert_chain(chain, key, password="")
        public = x509.load_pem_x509_certificates(chain.read_bytes())[0].public_key()
    except (OSError, ssl.SSLError, ValueError) as error:
        raise MembersError(
            f"{chain}, {key}: expected a certificate chain and its private key in PEM"
        ) from error
    if not isinstance(public, ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey):
        raise MembersError(f"{chain}: expected a key of kind ECDSA, Ed25519 or RSA")
    return made, spki_sha256(public)


def _make(host: str, now_s: int) -> keyfile.Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    began = datetime.fromtimestamp(now_s, UTC) - timedelta(hours=1)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(began)
        .not_valid_after(began + _LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(_names(host)), critical=False)
        .sign(key, hashes.SHA256())
    )
    return key, certificate


def _names(host: str) -> list[x509.GeneralName]:
    with suppress(ValueError):
        return [x509.IPAddress(ipaddress.ip_address(host)), x509.DNSName("localhost")]
    return [x509.DNSName(host or "localhost")]
