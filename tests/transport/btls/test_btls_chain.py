from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, ObjectIdentifier
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.transport import RemoteProtocolError
from btresearch.transport.btls.chain import SKEW_S, spki_sha256, validate
from tests.transport.btls.certificates import (
    HOUR_S,
    URN,
    Authority,
    Recipe,
    ca,
    chain,
    key_usage,
    leaf,
    private_key,
)
from tests.transport.pairs import INFOHASH, NOW_S, OTHER

V2 = bytes(range(32))
URN_V2 = f"urn:btmh:1220{V2.hex()}"
INTERMEDIATE = ca(101, subject="Issuing")
KINDS = ("p256", "ed25519", "rsa")


def judge(*recipes: Recipe, infohash: bytes = INFOHASH, now_s: float = NOW_S, anchors: int = 1) -> str:
    """Validate a chain whose last certificate is the torrent's CA; return why it was refused, "" if it holds."""
    anchor = Authority(recipes[-1]).anchor
    try:
        validate(chain(*recipes), ca={anchor} if anchors else set(), infohash=infohash, now_s=now_s)
    except RemoteProtocolError as error:
        return error.reason
    return ""


@pytest.mark.parametrize("issuer", KINDS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_scheme_certifies_every_scheme(kind: str, issuer: str) -> None:
    assert judge(leaf(kind=kind), ca(kind=issuer)) == ""


def test_a_leaf_says_who_it_is() -> None:
    authority = Authority()
    member = authority.member(leaf(names=[URN, URN_V2]))
    found = validate(member.credential.chain, ca=member.ca, infohash=V2, now_s=NOW_S)
    assert found.hashes == (INFOHASH, V2)
    assert found.spki_sha256 == member.credential.spki_sha256
    assert found.not_after_s == member.credential.not_after_s == NOW_S + 4 * HOUR_S


def test_the_whole_chain_s_earliest_end_counts() -> None:
    short = replace(ca(), end_s=NOW_S + 60)
    member = Authority(short).member()
    found = validate(member.credential.chain, ca=member.ca, infohash=INFOHASH, now_s=NOW_S)
    assert found.not_after_s == NOW_S + 60


def test_one_intermediate_where_the_ca_allows_it() -> None:
    assert judge(leaf(), INTERMEDIATE, ca(path_length=1)) == ""
    assert judge(leaf(), INTERMEDIATE, ca(path_length=None)) == ""
    assert "allows no intermediate" in judge(leaf(), INTERMEDIATE, ca(path_length=0))
    assert "chain of 4" in judge(leaf(), INTERMEDIATE, ca(102, subject="Another"), ca(path_length=None))


def test_a_leaf_alone_is_no_chain_even_when_its_key_is_listed() -> None:
    alone = leaf()
    assert "chain of 1" in judge(alone)


def test_a_leaf_is_no_ca() -> None:
    """A member signs a certificate for a friend: with its own leaf as issuer, and as listed anchor."""
    insider = replace(leaf(2), subject="", extensions=leaf(2).extensions)
    assert "issuer is no CA" in judge(leaf(3), insider, ca(path_length=None))
    assert "issuer is no CA" in judge(leaf(3), insider)


def test_an_anchor_is_no_leaf() -> None:
    authority = ca()
    own = replace(leaf(), key=authority.key)
    assert "itself an anchor" in judge(own, authority)


def test_an_unlisted_ca_is_nobody_s() -> None:
    assert "does not end at a CA" in judge(leaf(), ca(), anchors=0)


def test_a_ca_that_is_signed_by_another_is_no_anchor() -> None:
    """Its key is listed, but what else its certificate says is vouched for by nobody in the chain."""
    root, listed = ca(103, path_length=None, subject="Root"), ca(path_length=None)
    certificates = (leaf().signed(listed), listed.signed(root))
    with pytest.raises(RemoteProtocolError, match="certificate"):
        validate(certificates, ca={Authority(listed).anchor}, infohash=INFOHASH, now_s=NOW_S)


def test_the_listed_key_in_a_forged_certificate_does_not_widen_what_the_ca_allows() -> None:
    """An intermediate CA rewrites pathLen of its root, whose key it does not have."""
    root, middle = ca(path_length=0), INTERMEDIATE
    forged = replace(ca(path_length=None), key=root.key)
    certificates = (leaf().signed(middle), middle.signed(root), _signed_by(forged, middle))
    with pytest.raises(RemoteProtocolError, match="certificate"):
        validate(certificates, ca={Authority(root).anchor}, infohash=INFOHASH, now_s=NOW_S)


def _signed_by(recipe: Recipe, forger: Recipe) -> bytes:
    """Self-issued by name, but signed with the forger's key."""
    return recipe.signed(replace(forger, subject=recipe.subject))


WRONG_LEAVES = {
    "subject": (replace(leaf(), subject="somebody"), "has a subject"),
    "no purpose": (leaf().without(x509.ExtendedKeyUsage), "clientAuth alone"),
    "server": (leaf().having(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])), "clientAuth alone"),
    "two purposes": (
        leaf().having(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH])
        ),
        "clientAuth alone",
    ),
    "any purpose": (
        leaf().having(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])),
        "clientAuth alone",
    ),
    "CA": (leaf().having(x509.BasicConstraints(ca=True, path_length=None), critical=True), "leaf is a CA"),
    "signs": (leaf().having(key_usage(digital_signature=True, key_cert_sign=True)), "key usage"),
    "does not sign": (leaf().having(key_usage()), "key usage"),
    "no name": (leaf().without(x509.SubjectAlternativeName), "subjectAltName"),
    "unknown critical": (
        leaf().having(
            x509.UnrecognizedExtension(ObjectIdentifier("1.3.6.1.4.1.55555.1"), b"\5\0"), critical=True
        ),
        "unknown critical extension 1.3.6.1.4.1.55555.1",
    ),
    "not yet": (replace(leaf(), begin_s=NOW_S + SKEW_S + 1), "not valid yet"),
    "expired": (replace(leaf(), end_s=NOW_S), "expired"),
    "P-384": (leaf(kind="p384"), "no scheme"),
    "RSA-1024": (leaf(kind="rsa1024"), "no scheme"),
}


@pytest.mark.parametrize("wrong", WRONG_LEAVES)
def test_wrong_leaves_are_refused(wrong: str) -> None:
    recipe, why = WRONG_LEAVES[wrong]
    assert why in judge(recipe, ca())


WRONG_NAMES = {
    "wildcard": ["urn:btih:*"],
    "wildcard part": [f"urn:btih:{INFOHASH.hex()[:-1]}*"],
    "upper case": [f"urn:btih:{INFOHASH.hex().upper()}"],
    "too short": [f"urn:btih:{INFOHASH.hex()[:-2]}"],
    "too long": [URN + "00"],
    "newline": [URN + "\n"],
    "v2 in v1's place": [f"urn:btih:{V2.hex()}"],
    "other multihash": [f"urn:btmh:1320{V2.hex()}"],
    "twice": [URN, URN],
    "two torrents": [URN, f"urn:btih:{OTHER.hex()}"],
    "two torrents, v2": [URN, URN_V2, f"urn:btmh:1220{bytes(32).hex()}"],
    "a site": [URN, "https://example.org/"],
    "none": [],
}


@pytest.mark.parametrize("wrong", WRONG_NAMES)
def test_names_that_are_not_one_torrent_s_are_refused(wrong: str) -> None:
    assert "leaf " in judge(leaf(names=WRONG_NAMES[wrong]), ca())


def test_a_dns_name_beside_the_torrent_is_refused() -> None:
    names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(URN), x509.DNSName("*")])
    assert "no torrent's URN" in judge(leaf().having(names, critical=True), ca())


def test_names_that_may_be_ignored_are_refused() -> None:
    names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(URN)])
    assert "critical subjectAltName" in judge(leaf().having(names, critical=False), ca())


def test_another_torrent_of_the_same_ca_is_refused() -> None:
    assert "another torrent" in judge(leaf(names=[f"urn:btih:{OTHER.hex()}"]), ca())
    assert "another torrent" in judge(leaf(), ca(), infohash=V2)
    # The first 20 bytes of a v2 infohash are not its v1 infohash.
    assert "another torrent" in judge(leaf(names=[f"urn:btih:{V2[:20].hex()}"]), ca(), infohash=V2)


WRONG_ISSUERS = {
    "no constraints": ca().without(x509.BasicConstraints),
    "constraints may be ignored": ca().having(x509.BasicConstraints(ca=True, path_length=0), critical=False),
    "not a CA": ca().having(x509.BasicConstraints(ca=False, path_length=None), critical=True),
    "no usage": ca().without(x509.KeyUsage),
    "may not sign": ca().having(key_usage(digital_signature=True), critical=True),
    "other purpose": ca().having(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])),
    "name constraints": ca().having(
        x509.NameConstraints([x509.UniformResourceIdentifier("example.org")], None), critical=True
    ),
    "expired": replace(ca(), end_s=NOW_S),
    "not yet": replace(ca(), begin_s=NOW_S + SKEW_S + 1),
    "P-384": ca(kind="p384"),
    "RSA-1024": ca(kind="rsa1024"),
}


@pytest.mark.parametrize("wrong", WRONG_ISSUERS)
def test_wrong_cas_are_refused(wrong: str) -> None:
    assert judge(leaf(), WRONG_ISSUERS[wrong])


def test_signatures_by_other_schemes_are_refused() -> None:
    assert "scheme" in judge(replace(leaf(), hash=hashes.SHA384()), ca())
    assert "scheme" in judge(replace(leaf(), rsa_padding=padding.PKCS1v15()), ca(kind="rsa"))
    short_salt = padding.PSS(padding.MGF1(hashes.SHA256()), 20)
    assert "RSA-PSS parameters" in judge(replace(leaf(), rsa_padding=short_salt), ca(kind="rsa"))


def test_a_signature_by_another_key_of_the_same_name_is_refused() -> None:
    impostor = replace(ca(), key=private_key("p256", 200))
    certificates = (leaf().signed(impostor), *chain(ca()))
    with pytest.raises(RemoteProtocolError, match="certificate"):
        validate(certificates, ca={Authority().anchor}, infohash=INFOHASH, now_s=NOW_S)


def test_the_skew_is_for_certificates_that_are_too_young() -> None:
    young = replace(leaf(), begin_s=NOW_S + SKEW_S)
    assert judge(young, ca()) == ""
    assert judge(leaf(), ca(), now_s=NOW_S + 4 * HOUR_S - 1) == ""
    assert "expired" in judge(leaf(), ca(), now_s=NOW_S + 4 * HOUR_S)


@pytest.mark.parametrize("name", [b"\xa3\x00", b"\xa5\x00"], ids=["x400Address", "ediPartyName"])
def test_names_that_cryptography_can_not_read_raise_the_declared_error(name: bytes) -> None:
    """Whoever holds the secret can sign such a leaf: it is read before the chain up to the CA is judged."""
    authority = Authority()
    der = bytes([0x30, len(name)]) + name
    names = x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, der)
    recipe = leaf().without(x509.SubjectAlternativeName).having(names, critical=True)
    with pytest.raises(RemoteProtocolError, match="UnsupportedGeneralNameType"):
        validate(chain(recipe, authority.recipe), ca={authority.anchor}, infohash=INFOHASH, now_s=NOW_S)


@pytest.mark.filterwarnings("ignore")  # cryptography warns of some of what it still parses
@given(st.data())
@settings(deadline=None, max_examples=100)
def test_damaged_chains_raise_the_declared_error_alone(data: st.DataObject) -> None:
    authority = Authority()
    certificates = [bytearray(der) for der in authority.member().credential.chain]
    victim = data.draw(st.sampled_from(certificates))
    position = data.draw(st.integers(0, len(victim) - 1))
    victim[position] ^= data.draw(st.integers(1, 255))
    del victim[data.draw(st.integers(position, len(victim))) :]
    with pytest.raises(RemoteProtocolError):
        validate(tuple(map(bytes, certificates)), ca={authority.anchor}, infohash=INFOHASH, now_s=NOW_S)


@pytest.mark.parametrize(
    "options", ["-algorithm RSA-PSS", "-algorithm EC -pkeyopt ec_paramgen_curve:P-256"], ids=["pss", "point"]
)
def test_a_key_that_is_written_in_another_form(tmp_path: Path, options: str) -> None:
    key, cert = str(tmp_path / "key.pem"), str(tmp_path / "ca.der")
    form = "-ec_conv_form compressed" if "EC" in options else ""
    for command in (
        f"openssl genpkey {options} -out {key}",
        f"openssl pkey -in {key} {form} -out {key}.form",
        f"openssl req -x509 -key {key}.form -subj /CN=Members -outform DER -out {cert}",
    ):
        subprocess.run(command.split(), check=True, capture_output=True)
    der = Path(cert).read_bytes()
    anchor = spki_sha256(x509.load_der_x509_certificate(der))
    with pytest.raises(RemoteProtocolError, match="another form"):
        validate((der, der), ca={anchor}, infohash=INFOHASH, now_s=NOW_S)
