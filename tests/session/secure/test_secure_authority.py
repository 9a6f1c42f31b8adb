"""Members' certificates: the profile of protocol.md, whatever the request says, judged by a peer's own rules."""

from __future__ import annotations

import base64
import stat
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.session.secure import Authority, MembersError, csr
from btresearch.session.secure.authority import FILE, LIFE_S, not_after_s, spki_sha256, urn
from btresearch.session.secure.errors import Refused
from btresearch.transport.btls import chain
from btresearch.transport.errors import RemoteProtocolError
from tests.session.secure.tracking import NOW_S, OTHER, V1, V2, names_of, request

GREEDY = (
    x509.SubjectAlternativeName(
        [
            x509.UniformResourceIdentifier(urn(OTHER)),
            x509.UniformResourceIdentifier("urn:btih:*"),
            x509.DNSName("*"),
        ]
    ),
    x509.BasicConstraints(ca=True, path_length=None),
    x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE, ExtendedKeyUsageOID.SERVER_AUTH]),
)
SUBJECT = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, urn(OTHER))])


def _issued(authority: Authority, body: bytes, infohashes: tuple[bytes, ...] = (V1, V2)) -> x509.Certificate:
    return authority.issue(csr.public_key(body), infohashes, serial=7, from_s=NOW_S, life_s=LIFE_S)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.kept(tmp_path, now_s=NOW_S)


def test_urns_of_both_kinds() -> None:
    assert urn(V1) == "urn:btih:000102030405060708090a0b0c0d0e0f10111213"
    assert urn(V2) == "urn:btmh:1220" + bytes(range(100, 132)).hex()


@pytest.mark.parametrize("infohashes", [(V1,), (V2,), (V1, V2)])
def test_peers_accept_what_is_issued(authority: Authority, infohashes: tuple[bytes, ...]) -> None:
    leaf = _issued(authority, request(), infohashes)
    path = [one.public_bytes(Encoding.DER) for one in (leaf, authority.certificate)]
    for infohash in infohashes:
        for at_s in (NOW_S, not_after_s(NOW_S, LIFE_S) - 1):
            found = chain.validate(path, ca={authority.pin}, infohash=infohash, now_s=at_s)
            assert found.hashes == infohashes
            assert found.not_after_s == not_after_s(NOW_S, LIFE_S)
            assert found.spki_sha256 == spki_sha256(leaf.public_key())  # type: ignore[arg-type]
    with pytest.raises(RemoteProtocolError, match="expired"):
        chain.validate(path, ca={authority.pin}, infohash=infohashes[0], now_s=NOW_S + LIFE_S)
    with pytest.raises(RemoteProtocolError, match="another torrent"):
        chain.validate(path, ca={authority.pin}, infohash=OTHER, now_s=NOW_S)


def test_names_in_the_request_are_not_read(authority: Authority) -> None:
    leaf = _issued(authority, request(extensions=GREEDY, subject=SUBJECT))
    assert names_of(leaf) == [urn(V1), urn(V2)]
    assert leaf.subject == x509.Name([])
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert {extension.oid for extension in leaf.extensions} == {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
    }


def test_four_hours_are_the_longest(authority: Authority) -> None:
    leaf = _issued(authority, request())
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc == timedelta(hours=4)
    for life_s in (0, -1, LIFE_S + 1):
        with pytest.raises(ValueError, match="certificate"):
            authority.issue(csr.public_key(request()), (V1,), serial=7, from_s=NOW_S, life_s=life_s)


@pytest.mark.parametrize(
    ("key", "digest"),
    [
        (ec.generate_private_key(ec.SECP256R1()), hashes.SHA384()),
        (ed25519.Ed25519PrivateKey.generate(), None),
        (rsa.generate_private_key(65537, 2048), hashes.SHA512()),
    ],
)
def test_keys_that_are_taken(authority: Authority, key: Any, digest: Any) -> None:
    body = _csr(key, digest)
    assert _issued(authority, body).public_key() == key.public_key()


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP384R1()),
        rsa.generate_private_key(65537, 1024),
        rsa.generate_private_key(3, 2048),
        dsa.generate_private_key(2048),
        ed448.Ed448PrivateKey.generate(),
    ],
)
def test_keys_that_are_not(key: Any) -> None:
    body = _csr(key, None if isinstance(key, ed448.Ed448PrivateKey) else hashes.SHA256())
    with pytest.raises(Refused, match="P-256, Ed25519 or RSA") as refused:
        csr.public_key(body)
    assert refused.value.status == 400


def test_a_request_for_somebody_elses_key(authority: Authority) -> None:
    """Without the private key there is no signature: nobody can get another's pin certified."""
    body = bytearray(base64.b64decode(request()))
    body[-5] ^= 1
    with pytest.raises(Refused, match="signature"):
        csr.public_key(base64.b64encode(body))


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=2000))
def test_garbage_is_refused(data: bytes) -> None:
    for body in (data, base64.b64encode(data)):
        with pytest.raises(Refused) as refused:
            csr.public_key(body)
        assert refused.value.status == 400


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_damaged_requests_are_refused(data: st.DataObject) -> None:
    body = bytearray(base64.b64decode(REQUEST))
    at = data.draw(st.integers(0, len(body) - 1))
    body[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Refused):
        csr.public_key(base64.b64encode(body))
    with pytest.raises(Refused):
        csr.public_key(base64.b64encode(body[:at]))


def test_requests_are_bounded() -> None:
    with pytest.raises(Refused) as refused:
        csr.public_key(b"A" * (csr.MAX_BODY_BYTES + 1))
    assert refused.value.status == 413


def test_key_is_kept_and_its_owners(tmp_path: Path) -> None:
    first = Authority.kept(tmp_path, now_s=NOW_S)
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    assert Authority.kept(tmp_path, now_s=NOW_S + 5) == first or (
        Authority.kept(tmp_path, now_s=NOW_S + 5).pin == first.pin
    )
    assert "key" not in repr(first).replace("public_key", "")
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_a_key_that_others_may_read_is_not_used(tmp_path: Path) -> None:
    Authority.kept(tmp_path, now_s=NOW_S)
    (tmp_path / FILE).chmod(0o640)
    with pytest.raises(MembersError, match="chmod 600"):
        Authority.kept(tmp_path, now_s=NOW_S)


def test_a_damaged_key_is_not_replaced(tmp_path: Path) -> None:
    """Torrents name its SPKI: a new one would lock every member out without a word."""
    (tmp_path / FILE).touch(mode=0o600)
    (tmp_path / FILE).write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    with pytest.raises(MembersError, match="in PEM") as caught:
        Authority.kept(tmp_path, now_s=NOW_S)
    assert "AAAA" not in str(caught.value)


def test_at_once_all_get_the_same_key(tmp_path: Path) -> None:
    pins: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: pins.append(Authority.kept(tmp_path, now_s=NOW_S).pin))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pins) == 8 and len(set(pins)) == 1


REQUEST = request()


def _csr(key: Any, digest: Any) -> bytes:
    built = x509.CertificateSigningRequestBuilder(x509.Name([])).sign(key, digest)
    return base64.b64encode(built.public_bytes(Encoding.DER))
