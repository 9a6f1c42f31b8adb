"""Certificates of the lab: a root, an intermediate, server chains, and peer certificates for SSL torrents."""

from __future__ import annotations

import base64
import random
import textwrap
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import (
    AuthorityInformationAccessOID,
    ExtendedKeyUsageOID,
    NameOID,
    ObjectIdentifier,
)

# RFC 7919 appendix A.1, ffdhe2048: generator 2. libtorrent wants a DH file even where TLS 1.3 never uses it.
FFDHE2048 = bytes.fromhex(
    "FFFFFFFFFFFFFFFFADF85458A2BB4A9AAFDC5620273D3CF1D8B9C583CE2D3695A9E13641146433FBCC939DCE249B3EF9"
    "7D2FE363630C75D8F681B202AEC4617AD3DF1ED5D5FD65612433F51F5F066ED0856365553DED1AF3B557135E7F57C935"
    "984F0C70E0E68B77E2A689DAF3EFE8721DF158A136ADE73530ACCA4F483A797ABC0AB182B324FB61D108A94BB2C8E3FB"
    "B96ADAB760D7F4681D4F42A3DE394DF4AE56EDE76372BB190B07A7C8EE0A6D709E02FCE1CDF7E2ECC03404CD28342F61"
    "9172FE9CE98583FF8E4F1232EEF28183C3FE3B1B4C6FAD733BB5FCBC2EC22005C58EF1837D1683B2C6F34A26C1B2EFFA"
    "886B423861285C97FFFFFFFFFFFFFFFF"
)
LIFETIME = timedelta(days=90)
SCT_LIST = ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")  # RFC 6962, section 3.3
ECDSA_SHA256 = bytes([4, 3])  # RFC 5246, section 7.4.1.4.1: hash sha256, signature ecdsa

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
CHAINS = (("ec", "ec"), ("ec", "rsa"), ("rsa", "rsa"), ("rsa", "rsa", "rsa"))
"""Key types from the leaf up to the last certificate that a server sends. Public sites send all four kinds, and
a chain's size shows through TLS 1.3: with short chains alone, cover would be known by its first flight."""


@dataclass(frozen=True)
class Authority:
    """A certificate that signs others."""

    certificate: x509.Certificate
    key: PrivateKey

    @property
    def pem(self) -> str:
        """The certificate in PEM."""
        return self.certificate.public_bytes(Encoding.PEM).decode()


def _key(kind: str) -> PrivateKey:
    return rsa.generate_private_key(65537, 2048) if kind == "rsa" else ec.generate_private_key(ec.SECP256R1())


def authority(name: str, parent: Authority | None = None, kind: str = "ec") -> Authority:
    """Make a root, or an intermediate below `parent`."""
    key = _key(kind)
    return Authority(_sign(name, key, parent or name, parent.key if parent else key, ca=True), key)


def _sign(
    name: str,
    key: PrivateKey,
    issuer: Authority | str,
    issuer_key: PrivateKey,
    *,
    ca: bool,
    hosts: tuple[str, ...] = (),
    extensions: tuple[x509.ExtensionType, ...] = (),
) -> x509.Certificate:
    now = datetime.now(UTC)
    issuer_name = issuer.certificate.subject if isinstance(issuer, Authority) else _name(issuer)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(issuer_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if hosts:
        names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
        builder = builder.add_extension(names, critical=False)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def leaf(
    folder: Path,
    hosts: tuple[str, ...],
    chain: tuple[Authority, ...],
    *,
    kind: str = "ec",
    extensions: tuple[x509.ExtensionType, ...] = (),
) -> dict[str, str]:
    """Write `chain.pem` and `key.pem` for `hosts`, signed by the first of `chain`; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    key = _key(kind)
    certificate = _sign(hosts[0], key, chain[0], chain[0].key, ca=False, hosts=hosts, extensions=extensions)
    pem = certificate.public_bytes(Encoding.PEM).decode() + "".join(above.pem for above in chain[:-1])
    (folder / "chain.pem").write_text(pem, encoding="ascii")
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "key.pem").touch(mode=0o600)
    (folder / "key.pem").write_bytes(private)
    return {"chain": str(folder / "chain.pem"), "key": str(folder / "key.pem")}


def site(folder: Path, host: str, rng: random.Random) -> dict[str, str]:
    """Make a web server's identity, shaped as public sites' are: a chain of `CHAINS`, names drawn from `rng`."""
    kinds = rng.choice(CHAINS)
    chain = [authority("Lab Root", kind=kinds[-1])]
    for number, kind in enumerate(reversed(kinds[1:])):
        chain.insert(0, authority(f"Lab Issuing CA {number}", chain[0], kind))
    others = tuple(f"{rng.randbytes(4).hex()}.{host}" for _ in range(rng.randrange(0, 40)))
    extensions = _public(rng, chain[0])
    paths = leaf(folder, (host, *others), tuple(chain), kind=kinds[0], extensions=extensions)
    (folder / "root.pem").write_text(chain[-1].pem, encoding="ascii")
    return {**paths, "root": str(folder / "root.pem"), "host": host}


def _public(rng: random.Random, issuer: Authority) -> tuple[x509.ExtensionType, ...]:
    """What a public CA puts into a leaf besides names: usage, where its certificate is, two or three timestamps."""
    access = x509.AccessDescription(
        AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier("http://ca.lab.test/ca.der")
    )
    return (
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
        x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()),
        x509.AuthorityInformationAccess([access]),
        x509.UnrecognizedExtension(SCT_LIST, _timestamps(rng, rng.randrange(2, 4))),
    )


def _timestamps(rng: random.Random, count: int) -> bytes:
    """RFC 6962, section 3.3: a list of `count` signed certificate timestamps, of random logs, in an OCTET STRING."""
    made = b"".join(_prefixed(_timestamp(rng)) for _ in range(count))
    body = _prefixed(made)
    length = b"\x82" + len(body).to_bytes(2, "big") if len(body) > 255 else b"\x81" + bytes([len(body)])
    return b"\x04" + length + body


def _timestamp(rng: random.Random) -> bytes:
    when_ms = int(datetime.now(UTC).timestamp() * 1000)
    head = (
        b"\0" + rng.randbytes(32) + when_ms.to_bytes(8, "big") + bytes(2)
    )  # version 1, log id, time, no extensions
    return head + ECDSA_SHA256 + _prefixed(rng.randbytes(71))


def _prefixed(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def peer(folder: Path, root: Authority) -> dict[str, str]:
    """Make one peer's certificate for the SSL torrents below `root` (any torrent name: `*`)."""
    paths = leaf(folder, ("*",), (root,))
    (folder / "dh.pem").write_text(_dh_pem(), encoding="ascii")
    return {**paths, "dh": str(folder / "dh.pem")}


def _dh_pem() -> str:
    """PKCS #3 DHParameter: SEQUENCE of the prime and the generator, both INTEGER, in DER."""
    prime = b"\x02\x82" + (len(FFDHE2048) + 1).to_bytes(2, "big") + b"\0" + FFDHE2048
    body = prime + b"\x02\x01\x02"
    der = b"\x30\x82" + len(body).to_bytes(2, "big") + body
    text = "\n".join(textwrap.wrap(base64.b64encode(der).decode(), 64))
    return f"-----BEGIN DH PARAMETERS-----\n{text}\n-----END DH PARAMETERS-----\n"
