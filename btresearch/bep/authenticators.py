"""Vectors of level Full: requests, authenticators and frames, and which authenticators are refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from btresearch.bep import certificates as certs
from btresearch.bep.certificates import FixedKey
from btresearch.bep.examples import V1, V2
from btresearch.bep.vector import Family, Plain, Vector, example_bytes
from btresearch.transport.btls import authenticator, frame, request
from btresearch.transport.btls import chain as path
from btresearch.transport.btls.authenticator import AuthenticatorKeys
from btresearch.transport.btls.credential import Credential
from btresearch.transport.btls.engine import HashName
from btresearch.transport.btls.exporter import tls13_exporter
from btresearch.transport.btls.keys import Role
from btresearch.transport.errors import RemoteProtocolError

_SIDES: dict[Role, bytes] = {"initiator": b"client", "responder": b"server"}
_OTHER: dict[Role, Role] = {"initiator": "responder", "responder": "initiator"}
_LENGTHS: dict[HashName, int] = {"sha256": 32, "sha384": 48}
_HOUR_S = 3600


@dataclass(frozen=True)
class Case:
    """One authenticator: who sends it on which connection, with which chain."""

    name: str
    comment: str
    sender: Role = "initiator"
    algorithm: HashName = "sha256"
    leaf: FixedKey = certs.P256_LEAF
    ca: FixedKey = certs.P256_CA
    names: Sequence[str] = certs.urns(V1, V2)
    infohash: bytes = V2
    now_s: int = certs.NOW_S
    server: bool = False

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
        return certs.chain(self.leaf, self.ca, self.names, server=self.server)

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
_HOLD = (
    Case("p256_sha256_initiator", "P-256 under P-256, to a request of type 13"),
    Case("p256_sha256_responder", "the same member as responder: other keys", sender="responder"),
    Case("p256_sha384_initiator", "a cipher suite with SHA-384", algorithm="sha384"),
    Case(
        "ed25519_sha256_initiator",
        "Ed25519 under Ed25519, a v1 torrent",
        leaf=certs.ED25519_LEAF,
        ca=certs.ED25519_CA,
        names=certs.urns(V1),
        infohash=V1,
    ),
    Case(
        "ed25519_sha384_responder",
        "Ed25519 under P-256, SHA-384",
        sender="responder",
        algorithm="sha384",
        leaf=certs.ED25519_LEAF,
    ),
)
_CHAINS_REFUSED = (
    replace(_PLAIN, name="other_torrent", comment="the leaf is for another torrent", names=certs.urns(V1)),
    replace(_PLAIN, name="wildcard", comment="a name that is no URN of a torrent", names=("urn:btih:*",)),
    replace(
        _PLAIN,
        name="two_torrents",
        comment="the leaf names two v2 torrents",
        names=certs.urns(V2, example_bytes("another torrent")),
    ),
    replace(
        _PLAIN, name="upper_case", comment="digits in upper case", names=("urn:btmh:1220" + V2.hex().upper(),)
    ),
    replace(_PLAIN, name="expired", comment="at notAfter", now_s=certs.NOW_S + 3 * _HOUR_S),
    replace(
        _PLAIN,
        name="not_yet_valid",
        comment="301 seconds before notBefore",
        now_s=certs.NOW_S - _HOUR_S - 301,
    ),
    replace(_PLAIN, name="server_auth", comment="extendedKeyUsage is serverAuth", server=True),
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


def _flipped(message: bytes, at: int) -> bytes:
    return message[:at] + bytes([message[at] ^ 1]) + message[at + 1 :]


def judged(case: Case, message: bytes) -> bool:
    """Whether a peer of the torrent accepts this authenticator."""
    try:
        found = authenticator.verified(case.keys, case.request, case.context, message)
        ca = {path.spki_sha256(certs.ca_certificate(case.ca))}
        path.validate(found, ca=ca, infohash=case.infohash, now_s=case.now_s)
    except RemoteProtocolError:
        return False
    return True


def families() -> Iterator[Family]:
    """The family of this module."""
    made = [(case, case.message()) for case in (*_HOLD, *_CHAINS_REFUSED)]
    yield Family(
        "authenticator",
        "Full: Proof of Membership",
        "Authenticators and what the receiver makes of them at the time now_s (Unix time). leaf_key is the "
        "sender's: the scalar of P-256 or the seed of Ed25519. ECDSA is deterministic (RFC 6979) here, so that "
        "the bytes can be reproduced; peers need not sign so.",
        [_vector(case, message) for case, message in (*made, *_altered())],
    )


def _vector(case: Case, message: bytes) -> Vector:
    inputs: dict[str, Plain] = {
        "hash_text": case.algorithm,
        "exporter_master_secret": case.master,
        "sender_text": case.sender,
        "certificate_request_context": case.context,
        "leaf_key": case.leaf.secret,
        "signature_scheme": case.leaf.scheme.to_bytes(2, "big"),
        "chain": case.chain,
        "infohash": case.infohash,
        "ca": [path.spki_sha256(certs.ca_certificate(case.ca))],
        "now_s": case.now_s,
    }
    if message != case.message():
        return Vector(
            case.name, inputs | {"authenticator": message}, {"holds": judged(case, message)}, case.comment
        )
    return Vector(case.name, inputs, _outputs(case, message), case.comment)


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
