"""Enrolment and web server: what strangers send to them, what servers answer, what files say."""

from __future__ import annotations

import base64
import json
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from btresearch.errors import InputError
from btresearch.probe import http_answer, tls_answer
from btresearch.session import resume
from btresearch.session.accounts import Accounts
from btresearch.session.decoy import Decoy
from btresearch.session.enrolment import Est, _certificates, _credential
from btresearch.session.errors import EnrolmentError
from btresearch.session.founding import authority_hash
from btresearch.session.identity import is_current
from btresearch.session.secure import csr, doorkeeper, keyfile
from btresearch.session.secure.errors import MembersError, Refused
from btresearch.session.storage import Storage
from btresearch.transport import LocalProtocolError
from btresearch.transport.btls import Credential, ServerIdentity
from btresearch.transport.ssl_torrent import PeerCertificate, SslTorrent
from tests.fuzz.target import Target, as_file, as_text, folder
from tests.session.secure.tracking import basic
from tests.session.swarming import Content, single
from tests.session.test_session_decoy import GET, NOW_S, POST, SCRIPTED, said
from tests.transport.btls.certificates import Authority
from tests.transport.btls.test_btls_credential import GOOD, MADE
from tests.transport.pairs import INFOHASH, identity
from tests.transport.ssl_peers import member as ssl_member
from tests.transport.ssl_peers import root as ssl_root

ACCOUNTS = (
    b'["https://tracker.example:8443"]\nuser = "ann"\npassword = "correct horse"\npin = "'
    + b"0a" * 32
    + b'"\n'
    b'["https://other.example"]\nuser = "bob"\npassword = "battery"\nca = "file.pem"\n'
)

# EST


@cache
def _requests() -> list[bytes]:
    """PKCS #10 in DER."""
    keys = (
        ec.generate_private_key(ec.SECP256R1()),
        Ed25519PrivateKey.generate(),
        rsa.generate_private_key(65537, 2048),
    )
    names = x509.SubjectAlternativeName(
        [x509.DNSName("a.example"), x509.UniformResourceIdentifier("urn:btih:00")]
    )
    builder = x509.CertificateSigningRequestBuilder(x509.Name([])).add_extension(names, critical=False)
    digests = (hashes.SHA256(), None, hashes.SHA384())
    return [
        builder.sign(key, digest).public_bytes(Encoding.DER)  # type: ignore[arg-type]
        for key, digest in zip(keys, digests, strict=True)
    ]


@cache
def _issued() -> bytes:
    found = [x509.load_der_x509_certificate(der) for der in MADE.chain]
    return pkcs7.serialize_certificates(found, Encoding.DER)


def est_answer(data: bytes) -> None:
    """PKCS #7 in DER: parsed, and made a credential."""
    found = _certificates(base64.b64encode(data))
    est = Est("https://t.example", (INFOHASH,), frozenset({Authority().anchor}))
    _credential(est, MADE.private_key, found, found)  # type: ignore[arg-type]


# Files


def accounts(data: bytes) -> None:
    """A file of accounts."""
    Accounts.load(as_file(data, "accounts.toml"))


def credential(data: bytes) -> None:
    """A chain in PEM."""
    Credential.load(data, GOOD[1])


def certified(data: bytes) -> bytes:
    """The good chain, its leaf replaced by DER that is the input."""
    return as_pem(data) + GOOD[0].split(b"-----END CERTIFICATE-----\n", 1)[1]


@cache
def _stored() -> tuple[Content, Storage]:
    content = single(folder() / "stored", 100_000)
    return content, Storage.find(content.torrent, content.folder)


def resumed(data: bytes) -> None:
    """A resume file, which is trusted or not, and never an error."""
    content, storage = _stored()
    path = resume.path_of(storage, content.torrent.infohash)
    path.write_bytes(data)
    found = resume.load(storage, content.torrent.infohash)
    assert found is None or found.piece_count == content.torrent.piece_count


def _resumable() -> list[bytes]:
    content, storage = _stored()
    record = resume._identity(storage, content.torrent.infohash)
    return [json.dumps(record | {"have": "f0"}).encode(), json.dumps({"version": 1, "have": []}).encode()]


def identity_file(data: bytes) -> None:
    """A stored identity: read, and put to use."""
    found = ServerIdentity.from_pem(data)
    assert found.context
    is_current(found)


def ssl_authority(data: bytes) -> None:
    """`ssl-cert` of a torrent: read, and put to use."""
    assert SslTorrent(INFOHASH, "name", data, ssl_member()).context


def _never() -> keyfile.Pair:
    raise AssertionError("the file is there")


def as_pem(der: bytes) -> bytes:
    """A certificate."""
    body = base64.encodebytes(der)
    return b"-----BEGIN CERTIFICATE-----\n" + body + b"-----END CERTIFICATE-----\n"


# Web server


def decoy(data: bytes, *, tls: bool = True) -> None:
    """A stranger's requests in two reads; an answer is never much longer than a page."""
    own, cut = Decoy(tls=tls), len(data) // 2
    for part in (data[:cut], data[cut:]):
        if not own.closed:
            for answer in own.answers(part, now_s=NOW_S):
                assert len(answer) < 2000


def _visits() -> list[bytes]:
    recorded = [b"".join(said(probe))[:4000] for probe in SCRIPTED.values()]
    return [
        GET,
        POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n",
        *(each for each in recorded if each),
    ]


def _pages() -> list[bytes]:
    return [Decoy().receive(visit, now_s=NOW_S) or b"HTTP/1.1 200 OK\r\n\r\n" for visit in _visits()[:5]]


TARGETS = {
    "est_request": Target(
        csr.public_key, lambda: [base64.encodebytes(der) for der in _requests()], (Refused,)
    ),
    "est_request_inside": Target(lambda data: csr.public_key(base64.b64encode(data)), _requests, (Refused,)),
    "est_answer": Target(_certificates, lambda: [base64.encodebytes(_issued())], (EnrolmentError,)),
    "est_answer_inside": Target(est_answer, lambda: [_issued()], (EnrolmentError,), steady=False),
    "authorization": Target(
        lambda data: doorkeeper.read(as_text(data)), lambda: [basic("ann", "pass").encode()], (Refused,)
    ),
    "accounts": Target(accounts, lambda: [ACCOUNTS], (InputError,)),
    "credential": Target(credential, lambda: [GOOD[0]], (LocalProtocolError,)),
    "credential_inside": Target(
        lambda data: credential(certified(data)), lambda: [MADE.chain[0]], (LocalProtocolError,)
    ),
    "credential_key": Target(
        lambda data: Credential.load(GOOD[0], data), lambda: [GOOD[1]], (LocalProtocolError,)
    ),
    "identity_file": Target(identity_file, lambda: [identity().pem()], (LocalProtocolError,)),
    "ssl_certificate": Target(
        lambda data: PeerCertificate.from_pem(data, GOOD[1]), lambda: [GOOD[0]], (InputError,)
    ),
    "ssl_certificate_inside": Target(
        lambda data: PeerCertificate.from_pem(certified(data), GOOD[1]),
        lambda: [MADE.chain[0]],
        (InputError,),
    ),
    "ssl_authority": Target(ssl_authority, lambda: [ssl_root().pem], (InputError,)),
    "ssl_authority_inside": Target(
        lambda data: ssl_authority(as_pem(data)),
        lambda: [x509.load_pem_x509_certificate(ssl_root().pem).public_bytes(Encoding.DER)],
        (InputError,),
    ),
    "authority_hash": Target(
        lambda data: authority_hash(as_file(data, "ca")),
        lambda: [MADE.chain[1], as_pem(MADE.chain[1])],
        (InputError,),
    ),
    "authority_file": Target(
        lambda data: keyfile.kept(as_file(data, "authority.pem"), _never),
        lambda: [identity().pem()],
        (MembersError,),
    ),
    "resume": Target(resumed, _resumable),
    "decoy": Target(decoy, _visits),
    "decoy_plain": Target(lambda data: decoy(data, tls=False), _visits),
    "probe_http": Target(http_answer.describe, _pages),
    "probe_tls": Target(
        tls_answer.describe, lambda: [bytes.fromhex("15030300020250"), b"\x16\3\3\0\4\2\0\0\0"]
    ),
}
