"""Vectors of level Full: requests, authenticators and frames, and which authenticators are refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from cryptography.x509.oid import ExtendedKeyUsageOID

from btresearch.bep import certificates as certs
from btresearch.bep.certificates import FixedKey, Recipe
from btresearch.bep.examples import V1, V2
from btresearch.bep.vector import Family, Plain, Vector, example_bytes
from btresearch.transport.btls import authenticator, frame, request
from btresearch.transport.btls import chain as path
from btresearch.transport.btls.authenticator import AuthenticatorKeys
from btresearch.transport.btls.credential import Credential
from btresearch.transport.btls.engine import HashName
from btresearch.transport.btls.exporter import tls13_exporter
from btresearch.transport.btls.keys import Role
from btresearch.transport.btls.presentation import handshake, vector
from btresearch.transport.btls.signature import sign
from btresearch.transport.errors import RemoteProtocolError

_SIDES: dict[Role, bytes] = {"initiator": b"client", "responder": b"server"}
_OTHER: dict[Role, Role] = {"initiator": "responder", "responder": "initiator"}
_LENGTHS: dict[HashName, int] = {"sha256": 32, "sha384": 48}
_HOUR_S = 3600
_MEMBER = certs.member(certs.P256_LEAF, certs.urns(V1, V2))
_CA = certs.authority()
_WIDE_CA = replace(_CA, path_length=1)
_ISSUER = certs.intermediate()
_BELOW = replace(_MEMBER, issuer=_ISSUER.subject)
_CLIENT, _NO_PURPOSE = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
_BEGIN_S = certs.NOW_S - _HOUR_S
_END_S = _BEGIN_S + 4 * _HOUR_S


@dataclass(frozen=True)
class Case:
    """One authenticator: who sends it on which connection, with which chain; `ca` lists keys, else its last.

    `altered` is the place of a certificate whose signature is wrong.
    """

    name: str
    comment: str
    sender: Role = "initiator"
    algorithm: HashName = "sha256"
    recipes: tuple[Recipe, ...] = (_MEMBER, _CA)
    ca: tuple[FixedKey, ...] | None = None
    infohash: bytes = V2
    now_s: int = certs.NOW_S
    altered: int | None = None

    @property
    def leaf(self) -> FixedKey:
        """The sender's key."""
        return self.recipes[0].key

    @property
    def pins(self) -> list[bytes]:
        """What the torrent's `ca` lists."""
        keys = (self.recipes[-1].key,) if self.ca is None else self.ca
        return [certs.spki_sha256(key) for key in keys]

    @property
    def master(self) -> bytes:
        """exporter_master_secret of the connection."""
        return example_bytes(f"exporter_master_secret {self.algorithm}", _LENGTHS[self.algorithm])

    @property
    def context(self) -> bytes:
        """certificate_request_context of the request that is answered."""
        return example_bytes(f"context of the {_OTHER[self.sender]}")

    @property
    def request(self) -> bytes:
        """The request that is answered."""
        return request.encode(_OTHER[self.sender], self.context)

    @property
    def chain(self) -> tuple[bytes, ...]:
        """DER, leaf first."""
        made = certs.chain(*self.recipes)
        return tuple(
            _flipped(der, len(der) - 1) if at == self.altered else der for at, der in enumerate(made)
        )

    @property
    def keys(self) -> AuthenticatorKeys:
        """Handshake context and Finished key."""
        label = b"EXPORTER-" + _SIDES[self.sender] + b" authenticator "
        length = _LENGTHS[self.algorithm]
        return AuthenticatorKeys(
            tls13_exporter(self.master, label + b"handshake context", b"", length),
            tls13_exporter(self.master, label + b"finished key", b"", length),
            self.algorithm,
        )

    def message(self) -> bytes:
        """The authenticator."""
        return authenticator.build(
            self.keys, self.request, self.context, Credential(self.chain, self.leaf.key)
        )


_PLAIN = Case("refused", "")
_ED_MEMBER = certs.member(certs.ED25519_LEAF, certs.urns(V1))
_HOLD = (
    Case("p256_sha256_initiator", "P-256 under P-256, to a request of type 13"),
    Case("p256_sha256_responder", "the same member as responder: other keys", sender="responder"),
    Case("p256_sha384_initiator", "a cipher suite with SHA-384", algorithm="sha384"),
    Case(
        "ed25519_sha256_initiator",
        "Ed25519 under Ed25519, a v1 torrent",
        recipes=(_ED_MEMBER, certs.authority(certs.ED25519_CA)),
        infohash=V1,
    ),
    Case(
        "ed25519_sha384_responder",
        "Ed25519 under P-256, SHA-384",
        sender="responder",
        algorithm="sha384",
        recipes=(replace(_ED_MEMBER, names=certs.urns(V1, V2)), _CA),
    ),
)


def _leaf(name: str, comment: str, **changes: Any) -> Case:
    """The leaf is changed."""
    return replace(_PLAIN, name=name, comment=comment, recipes=(replace(_MEMBER, **changes), _CA))


def _ca(name: str, comment: str, **changes: Any) -> Case:
    """The CA is changed."""
    return replace(_PLAIN, name=name, comment=comment, recipes=(_MEMBER, replace(_CA, **changes)))


def _three(name: str, comment: str, leaf: Recipe = _BELOW, top: Recipe = _WIDE_CA, **changes: Any) -> Case:
    """An intermediate stands between them, and is changed."""
    return replace(_PLAIN, name=name, comment=comment, recipes=(leaf, replace(_ISSUER, **changes), top))


_CHAINS_HOLD = (
    _three("three", "an intermediate"),
    _three("issuer_purpose", "an issuer for clientAuth among others", purposes=(_CLIENT, _NO_PURPOSE)),
    _leaf("bare_leaf", "neither basicConstraints nor keyUsage", ca=None, digital_signature=False),
    _leaf("unknown_extension", "which is not critical", unknown_critical=False),
    replace(_PLAIN, name="skew", comment="300 seconds before notBefore", now_s=_BEGIN_S - 300),
    replace(_PLAIN, name="last_second", comment="a second before notAfter", now_s=_END_S - 1),
)
_GOOD_NAME = certs.urns(V2)
_CHAINS_REFUSED = (
    _leaf("other_torrent", "the leaf is for another torrent", names=certs.urns(V1)),
    _leaf("wildcard", "a name that is no URN of a torrent", names=("urn:btih:*",)),
    _leaf("and_wildcard", "the right name, and one more", names=(*_GOOD_NAME, "urn:btih:*")),
    _leaf("two_torrents", "two v2 torrents", names=certs.urns(V2, example_bytes("another torrent"))),
    _leaf("upper_case", "digits in upper case", names=("urn:btmh:1220" + V2.hex().upper(),)),
    _leaf(
        "and_upper_case", "the right name, and one more", names=(*_GOOD_NAME, "urn:btih:" + V1.hex().upper())
    ),
    _leaf("names_not_critical", "subjectAltName is not critical", names_critical=False),
    _leaf("subject", "the leaf has a subject", subject="a member"),
    _leaf("server_auth", "extendedKeyUsage is serverAuth", purposes=(_NO_PURPOSE,)),
    _leaf("two_purposes", "clientAuth and serverAuth", purposes=(_CLIENT, _NO_PURPOSE)),
    _leaf("no_purpose", "no extendedKeyUsage", purposes=()),
    _leaf("leaf_is_ca", "cA in the leaf", ca=True),
    _leaf("leaf_signs", "keyCertSign in the leaf", key_cert_sign=True),
    _leaf("leaf_usage", "a keyUsage without digitalSignature", digital_signature=False, key_agreement=True),
    _leaf("unknown_critical", "an unknown critical extension in the leaf", unknown_critical=True),
    _ca("ca_unknown_critical", "an unknown critical extension in the CA", unknown_critical=True),
    _ca("ca_not_critical", "the CA's basicConstraints is not critical", ca_critical=False),
    _ca("ca_is_none", "cA is not set", ca=False, path_length=None),
    _ca("ca_no_constraints", "no basicConstraints", ca=None),
    _ca("ca_usage", "the CA's keyUsage without keyCertSign", digital_signature=True, key_cert_sign=False),
    _ca("ca_no_usage", "the CA has no keyUsage", key_cert_sign=False),
    _ca("ca_purpose", "the CA is for serverAuth", purposes=(_NO_PURPOSE,)),
    _ca("ca_expired", "the CA ends before the leaf", valid=timedelta(hours=1)),
    _ca("issuer_name", "the leaf's issuer is not the CA's subject", subject="other CA", issuer="other CA"),
    _ca("ca_issuer", "the CA's issuer is not its subject", issuer="other CA"),
    replace(_PLAIN, name="leaf_signature", comment="the CA did not sign the leaf", altered=0),
    replace(_PLAIN, name="ca_signature", comment="the CA did not sign itself", altered=1),
    _three("path_length", "the CA allows no intermediate", top=_CA),
    _three("intermediate_is_leaf", "the intermediate is no CA", ca=False),
    _three("intermediate_purpose", "the intermediate is for serverAuth", purposes=(_NO_PURPOSE,)),
    replace(
        _PLAIN,
        name="four",
        comment="four certificates",
        recipes=(
            _BELOW,
            replace(_ISSUER, issuer="second issuer"),
            replace(_ISSUER, key=certs.ED25519_LEAF, subject="second issuer"),
            replace(_CA, path_length=2),
        ),
    ),
    replace(
        _PLAIN,
        name="one",
        comment="the leaf alone, whose key is in ca",
        recipes=(replace(_MEMBER, issuer=""),),
    ),
    replace(_PLAIN, name="other_ca", comment="the CA is not in ca", ca=(certs.ED25519_CA,)),
    replace(
        _PLAIN, name="leaf_in_ca", comment="the leaf's key is in ca", ca=(certs.P256_CA, certs.P256_LEAF)
    ),
    replace(_PLAIN, name="expired", comment="at notAfter", now_s=_END_S),
    replace(_PLAIN, name="not_yet_valid", comment="301 seconds before notBefore", now_s=_BEGIN_S - 301),
)


def _altered() -> Iterator[tuple[Case, bytes]]:
    """Authenticators that were changed on the way, and what they became."""
    good = _PLAIN.message()
    yield (
        replace(_PLAIN, name="finished_altered", comment="the last bit is wrong"),
        _flipped(good, len(good) - 1),
    )
    yield (
        replace(_PLAIN, name="certificate_altered", comment="one bit of the chain is wrong"),
        _flipped(good, 300),
    )
    yield replace(_PLAIN, name="empty", comment="Finished alone: a refusal by the other end"), good[-36:]
    yield replace(_PLAIN, name="rest_behind", comment="a byte follows"), good + b"\0"
    yield (
        replace(_PLAIN, name="reflected", comment="one's own, sent back", sender="responder"),
        good,
    )
    other = replace(_PLAIN, algorithm="sha384").message()
    yield replace(_PLAIN, name="other_connection", comment="made for another connection"), other
    yield from _forged()


def _forged() -> Iterator[tuple[Case, bytes]]:
    """Finished is right, since it needs no private key; what it covers is wrong."""
    plain, chain = _PLAIN, _PLAIN.chain
    yield (
        replace(plain, name="verify_signature", comment="CertificateVerify is another leaf's"),
        _sealed(plain, chain, key=certs.P256_CA),
    )
    yield (
        replace(plain, name="verify_scheme", comment="the scheme is not that of the leaf's key"),
        _sealed(plain, chain, scheme=0x0807),
    )
    yield (
        replace(plain, name="other_context", comment="the context is not the request's"),
        _sealed(plain, chain, context=bytes(32)),
    )
    yield (
        replace(plain, name="entry_extension", comment="an entry has an extension"),
        _sealed(plain, chain, extensions=b"\0\x05\0\0"),
    )
    p384 = replace(plain, recipes=(replace(_MEMBER, key=certs.P384_LEAF), _CA))
    yield replace(p384, name="p384", comment="the leaf's key is P-384"), _sealed(p384, p384.chain)


def _sealed(
    case: Case,
    chain: Sequence[bytes],
    *,
    key: FixedKey | None = None,
    scheme: int = 0x0403,
    context: bytes | None = None,
    extensions: bytes = b"",
) -> bytes:
    entries = b"".join(vector(der, 3) + vector(extensions, 2) for der in chain)
    body = vector(case.context if context is None else context, 1) + vector(entries, 3)
    certificate = handshake(authenticator.CERTIFICATE, body)
    content = authenticator.signed_content(case.keys, case.request, certificate)
    proof = scheme.to_bytes(2, "big") + vector(sign((key or case.leaf).key, content), 2)
    verification = handshake(authenticator.CERTIFICATE_VERIFY, proof)
    finished = authenticator.finished_mac(case.keys, case.request, certificate, verification)
    return certificate + verification + handshake(authenticator.FINISHED, finished)


def _flipped(message: bytes, at: int) -> bytes:
    return message[:at] + bytes([message[at] ^ 1]) + message[at + 1 :]


def judged(case: Case, message: bytes) -> bool:
    """Whether a peer of the torrent accepts this authenticator."""
    try:
        found = authenticator.verified(case.keys, case.request, case.context, message)
        path.validate(found, ca=case.pins, infohash=case.infohash, now_s=case.now_s)
    except RemoteProtocolError:
        return False
    return True


def families() -> Iterator[Family]:
    """The family of this module."""
    made = [(case, case.message()) for case in (*_HOLD, *_CHAINS_HOLD, *_CHAINS_REFUSED)]
    yield Family(
        "authenticator",
        "Full: Proof of Membership",
        "Authenticators and what the receiver makes of them at the time now_s (Unix time). leaf_key is the "
        "sender's: the scalar of P-256 or the seed of Ed25519. ECDSA is deterministic (RFC 6979) here, so that "
        "the bytes can be reproduced; peers need not sign so.",
        [
            *(_vector(case, _outputs(case, message)) for case, message in made),
            *(_received(case, message) for case, message in _altered()),
        ],
    )


def _received(case: Case, message: bytes) -> Vector:
    told = _vector(case, {"holds": judged(case, message)})
    return replace(told, inputs={**told.inputs, "authenticator": message})


def _vector(case: Case, outputs: dict[str, Plain]) -> Vector:
    inputs: dict[str, Plain] = {
        "hash_text": case.algorithm,
        "exporter_master_secret": case.master,
        "sender_text": case.sender,
        "certificate_request_context": case.context,
        "leaf_key": case.leaf.secret,
        "signature_scheme": case.leaf.scheme.to_bytes(2, "big"),
        "chain": case.chain,
        "infohash": case.infohash,
        "ca": case.pins,
        "now_s": case.now_s,
    }
    return Vector(case.name, inputs, outputs, case.comment)


def _outputs(case: Case, message: bytes) -> dict[str, Plain]:
    certificate = authenticator.encode_certificate(case.context, case.chain)
    return {
        "handshake_context": case.keys.handshake_context,
        "finished_key": case.keys.finished_key,
        "request": case.request,
        "request_frame": frame.encode(case.request),
        "signed": authenticator.signed_content(case.keys, case.request, certificate),
        "authenticator": message,
        "frame_head": frame.encode(message)[:3],
        "holds": judged(case, message),
    }
