"""CAs and members' credentials, right and wrong in every way that a test wants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache, cached_property

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from btresearch.transport.btls import Credential, Member
from btresearch.transport.btls.chain import spki_sha256
from btresearch.transport.btls.signature import PrivateKey
from tests.transport.pairs import INFOHASH, NOW_S

HOUR_S = 3600
SERIAL = 4711
URN = f"urn:btih:{INFOHASH.hex()}"


@cache
def private_key(kind: str = "p256", number: int = 0) -> PrivateKey:
    """Key `number` of its kind; P-256 and Ed25519 are the same in every run."""
    if kind == "p256":
        return ec.derive_private_key(1_000_003 + number, ec.SECP256R1())
    if kind == "ed25519":
        return Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)
    if kind == "p384":
        return ec.derive_private_key(1_000_003 + number, ec.SECP384R1())
    return rsa.generate_private_key(65537, 1024 if kind == "rsa1024" else 2048)


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)] if text else [])


USAGE = dict.fromkeys(
    [
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    ],
    False,
)


def key_usage(*, digital_signature: bool = False, key_cert_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(digital_signature=digital_signature, key_cert_sign=key_cert_sign, **USAGE)


Extension = tuple[x509.ExtensionType, bool]


@dataclass(frozen=True)
class Recipe:
    """One certificate to be made; `replace` a field to make a wrong one."""

    subject: str
    key: PrivateKey
    extensions: tuple[Extension, ...]
    begin_s: int = NOW_S - HOUR_S
    end_s: int = NOW_S + 4 * HOUR_S
    hash: hashes.HashAlgorithm = field(default_factory=hashes.SHA256)
    rsa_padding: padding.AsymmetricPadding | None = None

    def without(self, kind: type[x509.ExtensionType]) -> Recipe:
        return replace(self, extensions=tuple(each for each in self.extensions if type(each[0]) is not kind))

    def having(self, extension: x509.ExtensionType, *, critical: bool = False) -> Recipe:
        """With this extension in place of one of its kind."""
        rest = self.without(type(extension)).extensions
        return replace(self, extensions=(*rest, (extension, critical)))

    def signed(self, issuer: Recipe) -> bytes:
        builder = x509.CertificateBuilder(
            name(issuer.subject), name(self.subject), self.key.public_key(), SERIAL
        ).not_valid_before(datetime.fromtimestamp(self.begin_s, UTC))
        builder = builder.not_valid_after(datetime.fromtimestamp(self.end_s, UTC))
        for extension, critical in self.extensions:
            builder = builder.add_extension(extension, critical=critical)
        algorithm = None if isinstance(issuer.key, Ed25519PrivateKey) else self.hash
        pss = (
            padding.PSS(padding.MGF1(hashes.SHA256()), 32)
            if isinstance(issuer.key, rsa.RSAPrivateKey)
            else None
        )
        fixed = True if isinstance(issuer.key, ec.EllipticCurvePrivateKey) else None
        signed = builder.sign(
            issuer.key, algorithm, rsa_padding=self.rsa_padding or pss, ecdsa_deterministic=fixed
        )
        return signed.public_bytes(Encoding.DER)


def ca(
    number: int = 100, *, kind: str = "p256", path_length: int | None = 0, subject: str = "Members"
) -> Recipe:
    return Recipe(
        subject,
        private_key(kind, number),
        (
            (x509.BasicConstraints(ca=True, path_length=path_length), True),
            (key_usage(key_cert_sign=True), True),
        ),
        end_s=NOW_S + 1000 * HOUR_S,
    )


def leaf(number: int = 1, *, kind: str = "p256", names: Sequence[str] = (URN,)) -> Recipe:
    return Recipe(
        "",
        private_key(kind, number),
        (
            (x509.SubjectAlternativeName([x509.UniformResourceIdentifier(each) for each in names]), True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False),
            (key_usage(digital_signature=True), True),
        ),
    )


def chain(*recipes: Recipe) -> tuple[bytes, ...]:
    """Leaf first; each is signed by the next, the last by itself."""
    issuers = (*recipes[1:], recipes[-1])
    return tuple(recipe.signed(issuer) for recipe, issuer in zip(recipes, issuers, strict=True))


@dataclass(frozen=True)
class Authority:
    """A torrent's CA, which makes members."""

    recipe: Recipe = field(default_factory=ca)

    @cached_property
    def anchor(self) -> bytes:
        return spki_sha256(x509.load_der_x509_certificate(chain(self.recipe)[0]))

    def member(self, recipe: Recipe | None = None, *middle: Recipe) -> Member:
        recipe = recipe or leaf()
        credential = Credential(chain(recipe, *middle, self.recipe), recipe.key)
        return Member(credential, frozenset({self.anchor}))
