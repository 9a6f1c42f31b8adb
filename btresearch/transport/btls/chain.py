"""The certificate chain of a member: RFC 5280 path validation for a profile with little to choose.

Two or three certificates, leaf first, the self-signed CA last. The CA's key is the trust anchor (its SPKI's
SHA-256 is in the torrent's `ca`); its self-signature is what vouches for the rest of its certificate.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, SignatureAlgorithmOID

from btresearch.transport.btls.signature import PSS_SALT_BYTES, SignatureScheme, scheme_of
from btresearch.transport.errors import RemoteProtocolError

MIN_CHAIN, MAX_CHAIN = 2, 3
SKEW_S = 300
"""A clock may be this much behind the CA's; a certificate is never used past its notAfter."""

_KNOWN = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    }
)
_URN = re.compile(r"urn:bt(?:ih:([0-9a-f]{40})|mh:1220([0-9a-f]{64}))")
_SCHEMES = {
    SignatureAlgorithmOID.ECDSA_WITH_SHA256: SignatureScheme.ECDSA_SECP256R1_SHA256,
    SignatureAlgorithmOID.ED25519: SignatureScheme.ED25519,
    SignatureAlgorithmOID.RSASSA_PSS: SignatureScheme.RSA_PSS_RSAE_SHA256,
}
_E = TypeVar("_E", bound=x509.ExtensionType)

_MALFORMED = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,  # x400Address, ediPartyName
)


@dataclass(frozen=True)
class Leaf:
    """Who the other end proved to be: key, earliest notAfter of the chain (Unix time), full infohashes."""

    spki_sha256: bytes
    not_after_s: int
    hashes: tuple[bytes, ...]


def validate(chain: Sequence[bytes], *, ca: Container[bytes], infohash: bytes, now_s: float) -> Leaf:
    """Return the leaf of a chain (DER, leaf first) that makes its holder a member of this torrent now.

    Raises RemoteProtocolError, which says the first thing that is wrong.
    """
    if not MIN_CHAIN <= len(chain) <= MAX_CHAIN:
        raise _refused(f"chain of {len(chain)}, expected {MIN_CHAIN} to {MAX_CHAIN}")
    certificates = [parse(der) for der in chain]
    try:
        leaf = _validate(certificates, ca, now_s)
    except (*_MALFORMED, InvalidSignature) as error:
        raise _refused(type(error).__name__) from error
    if infohash not in leaf.hashes:
        raise _refused("is for another torrent")
    return leaf


def parse(der: bytes) -> x509.Certificate:
    """Parse one certificate. Raises RemoteProtocolError."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        certificate.public_key()
    except (*_MALFORMED, x509.InvalidVersion) as error:
        raise _refused("is malformed") from error
    return certificate


def spki_sha256(certificate: x509.Certificate) -> bytes:
    """SHA-256 of SubjectPublicKeyInfo (DER): what `ca` lists and a pin names."""
    return hashlib.sha256(_spki(certificate)).digest()


def _spki(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _validate(certificates: list[x509.Certificate], ca: Container[bytes], now_s: float) -> Leaf:
    leaf, *issuers = certificates
    if spki_sha256(issuers[-1]) not in ca:
        raise _refused("does not end at a CA of this torrent")
    for certificate, issuer in zip(certificates, [*issuers, issuers[-1]], strict=True):
        _check_key_form(certificate)
        _check_signed(certificate, issuer)
        _check_common(certificate, now_s)
    for below, issuer in enumerate(issuers):
        _check_issuer(issuer, below)
    _check_leaf(leaf)
    if spki_sha256(leaf) in ca:
        raise _refused("leaf is itself an anchor")
    not_after_s = min(int(each.not_valid_after_utc.timestamp()) for each in certificates)
    return Leaf(spki_sha256(leaf), not_after_s, torrents_of(leaf))


def _check_key_form(certificate: x509.Certificate) -> None:
    """Refuse a key that is written in another way than we would: its hash is of how it is written."""
    if _spki(certificate) not in certificate.tbs_certificate_bytes:
        raise _refused("has a key in another form than rsaEncryption, or an uncompressed point")


def _check_signed(certificate: x509.Certificate, issuer: x509.Certificate) -> None:
    scheme = _SCHEMES.get(certificate.signature_algorithm_oid)
    if scheme is None or scheme != scheme_of(issuer.public_key()):
        raise _refused("is signed by a scheme that level full does not have")
    if scheme is SignatureScheme.RSA_PSS_RSAE_SHA256 and not _is_pss_sha256(certificate):
        raise _refused("has other RSA-PSS parameters than rsa_pss_rsae_sha256")
    certificate.verify_directly_issued_by(issuer)


def _is_pss_sha256(certificate: x509.Certificate) -> bool:
    match certificate.signature_algorithm_parameters:
        case padding.PSS(_salt_length=salt, mgf=padding.MGF1(_algorithm=SHA256())):
            return bool(salt == PSS_SALT_BYTES) and isinstance(certificate.signature_hash_algorithm, SHA256)
    return False


def _check_common(certificate: x509.Certificate, now_s: float) -> None:
    if certificate.version is not x509.Version.v3:
        raise _refused("is not version 3")
    if now_s < certificate.not_valid_before_utc.timestamp() - SKEW_S:
        raise _refused("is not valid yet")
    if now_s >= certificate.not_valid_after_utc.timestamp():
        raise _refused("has expired")
    for extension in certificate.extensions:
        if extension.critical and extension.oid not in _KNOWN:
            raise _refused(f"has the unknown critical extension {extension.oid.dotted_string}")


def _check_issuer(issuer: x509.Certificate, below: int) -> None:
    """`below`: how many intermediates stand between this one and the leaf (RFC 5280 section 6.1.4)."""
    constraints = _extension(issuer, x509.BasicConstraints)
    if constraints is None or not constraints.critical or not constraints.value.ca:
        raise _refused("issuer is no CA")
    if constraints.value.path_length is not None and constraints.value.path_length < below:
        raise _refused("issuer allows no intermediate")
    usage = _extension(issuer, x509.KeyUsage)
    if usage is None or not usage.value.key_cert_sign:
        raise _refused("issuer may not sign certificates")
    purposes = _extension(issuer, x509.ExtendedKeyUsage)
    if purposes is not None and ExtendedKeyUsageOID.CLIENT_AUTH not in purposes.value:
        raise _refused("issuer is for another purpose")


def _check_leaf(leaf: x509.Certificate) -> None:
    constraints = _extension(leaf, x509.BasicConstraints)
    if constraints is not None and constraints.value.ca:
        raise _refused("leaf is a CA")
    usage = _extension(leaf, x509.KeyUsage)
    if usage is not None and (not usage.value.digital_signature or usage.value.key_cert_sign):
        raise _refused("leaf's key usage is not digitalSignature")
    purposes = _extension(leaf, x509.ExtendedKeyUsage)
    if purposes is None or list(purposes.value) != [ExtendedKeyUsageOID.CLIENT_AUTH]:
        raise _refused("leaf's purpose is not clientAuth alone")
    if scheme_of(leaf.public_key()) is None:
        raise _refused("leaf's key has no scheme of level full")
    if len(leaf.subject.rdns) > 0:
        raise _refused("leaf has a subject")


def torrents_of(leaf: x509.Certificate) -> tuple[bytes, ...]:
    """Return the infohashes (20 and/or 32 bytes) that a leaf's names are; the names of one torrent alone.

    subjectAltName is critical, as RFC 5280 section 4.2.1.6 has it for an empty subject.
    """
    names = _extension(leaf, x509.SubjectAlternativeName)
    if names is None or not names.critical:
        raise _refused("leaf has no critical subjectAltName")
    hashes = tuple(_hash_of(name) for name in names.value)
    if sorted(map(len, hashes)) not in ([20], [32], [20, 32]):
        raise _refused("leaf names more or less than one torrent")
    return hashes


def _hash_of(name: x509.GeneralName) -> bytes:
    match = _URN.fullmatch(name.value) if isinstance(name, x509.UniformResourceIdentifier) else None
    if match is None:
        raise _refused("leaf has a name that is no torrent's URN")
    return bytes.fromhex(match[1] or match[2])


def _extension(certificate: x509.Certificate, kind: type[_E]) -> x509.Extension[_E] | None:
    try:
        return certificate.extensions.get_extension_for_class(kind)
    except x509.ExtensionNotFound:
        return None


def _refused(why: str) -> RemoteProtocolError:
    return RemoteProtocolError(f"btls: certificate: {why}")
