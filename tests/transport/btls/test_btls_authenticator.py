from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.transport import LocalProtocolError, RemoteProtocolError
from btresearch.transport.btls import Credential, authenticator, request
from btresearch.transport.btls.authenticator import AuthenticatorKeys, build, verified
from btresearch.transport.btls.engine import HashName
from btresearch.transport.btls.presentation import handshake
from btresearch.transport.btls.signature import sign, verify
from tests.transport.btls import independent
from tests.transport.btls.certificates import Authority, leaf, private_key

CONTEXT = bytes(range(32))
REQUEST = request.encode("responder", CONTEXT)
SIZES: dict[HashName, int] = {"sha256": 32, "sha384": 48}
SCHEMES = {"p256": 0x0403, "ed25519": 0x0807, "rsa": 0x0804}


def keys(algorithm: HashName = "sha256", seed: int = 1) -> AuthenticatorKeys:
    size = SIZES[algorithm]
    return AuthenticatorKeys(bytes([seed]) * size, bytes([seed + 1]) * size, algorithm)


def credential(kind: str = "ed25519", number: int = 1) -> Credential:
    return Authority().member(leaf(number, kind=kind)).credential


def answer(**changes: AuthenticatorKeys) -> bytes:
    return build(changes.get("keys", keys()), REQUEST, CONTEXT, credential())


@pytest.mark.parametrize("algorithm", SIZES)
@pytest.mark.parametrize("kind", SCHEMES)
def test_what_is_built_holds(kind: str, algorithm: HashName) -> None:
    own = credential(kind)
    message = build(keys(algorithm), REQUEST, CONTEXT, own)
    assert verified(keys(algorithm), REQUEST, CONTEXT, message) == own.chain


@pytest.mark.parametrize("algorithm", SIZES)
@pytest.mark.parametrize("kind", ["p256", "ed25519"])
def test_the_independent_computation_gives_the_same_bytes(kind: str, algorithm: HashName) -> None:
    own, exported = credential(kind), keys(algorithm)

    def signed(content: bytes) -> tuple[int, bytes]:
        key = own.private_key
        if isinstance(key, ec.EllipticCurvePrivateKey):
            return SCHEMES[kind], key.sign(content, ec.ECDSA(SHA256(), deterministic_signing=True))
        return SCHEMES[kind], key.sign(content)  # type: ignore[call-arg]

    expected = independent.authenticator(
        algorithm, exported.handshake_context, exported.finished_key, REQUEST, own.chain, signed
    )
    assert build(exported, REQUEST, CONTEXT, own) == expected


FOREIGN = {
    "other connection": (keys(seed=9), REQUEST, CONTEXT),
    "other suite": (keys("sha384"), REQUEST, CONTEXT),
    "other handshake context": (replace(keys(), handshake_context=bytes(32)), REQUEST, CONTEXT),
    "other finished key": (replace(keys(), finished_key=bytes(32)), REQUEST, CONTEXT),
    "other request": (keys(), request.encode("responder", bytes(32)), bytes(32)),
    "other role's request": (keys(), request.encode("initiator", CONTEXT), CONTEXT),
}


@pytest.mark.parametrize("foreign", FOREIGN)
def test_an_authenticator_of_elsewhere_is_refused(foreign: str) -> None:
    with pytest.raises(RemoteProtocolError, match="connection and request"):
        verified(*FOREIGN[foreign], answer())


def test_an_echo_of_another_context_is_refused() -> None:
    message = build(keys(), REQUEST, bytes(32), credential())
    with pytest.raises(RemoteProtocolError, match="another context"):
        verified(keys(), REQUEST, CONTEXT, message)


def test_an_empty_authenticator_is_refused() -> None:
    """RFC 9261 section 6: Finished alone, over a Certificate without entries; well-formed, and no member."""
    nobody = authenticator.encode_certificate(CONTEXT, ())
    finished = handshake(20, authenticator.finished_mac(keys(), REQUEST, nobody, b""))
    with pytest.raises(RemoteProtocolError, match="empty"):
        verified(keys(), REQUEST, CONTEXT, finished)


def forged(certificate: bytes, verification: bytes) -> bytes:
    """Right as far as Finished says, which whoever holds the channel can compute."""
    finished = authenticator.finished_mac(keys(), REQUEST, certificate, verification)
    return certificate + verification + handshake(20, finished)


def certificate_verify(scheme: int, signature: bytes) -> bytes:
    return handshake(15, independent.uint(scheme, 2) + independent.sized(signature, 2))


def test_a_chain_without_entries_or_with_too_many_is_refused() -> None:
    own = credential()
    for chain in ((), own.chain * 2):
        certificate = authenticator.encode_certificate(CONTEXT, chain)
        with pytest.raises(RemoteProtocolError, match="entries"):
            verified(keys(), REQUEST, CONTEXT, forged(certificate, certificate_verify(0x0807, bytes(64))))


def test_an_extension_that_was_not_asked_for_is_refused() -> None:
    entry = independent.sized(credential().chain[0], 3) + independent.sized(b"\0\x05\0\0", 2)
    certificate = handshake(11, independent.sized(CONTEXT, 1) + independent.sized(entry, 3))
    with pytest.raises(RemoteProtocolError, match="not asked for"):
        verified(keys(), REQUEST, CONTEXT, forged(certificate, certificate_verify(0x0807, bytes(64))))


def test_somebody_else_s_certificate_without_its_key_is_refused() -> None:
    stolen = Credential(credential(number=1).chain, private_key("ed25519", 2))
    with pytest.raises(RemoteProtocolError, match="CertificateVerify"):
        verified(keys(), REQUEST, CONTEXT, build(keys(), REQUEST, CONTEXT, stolen))


@pytest.mark.parametrize("scheme", [0x0804, 0x0403, 0x0503, 0x0401, 0x0809, 0])
def test_a_scheme_that_is_not_the_key_s_is_refused(scheme: int) -> None:
    own = credential()
    certificate = authenticator.encode_certificate(CONTEXT, own.chain)
    signature = sign(own.private_key, authenticator.signed_content(keys(), REQUEST, certificate))
    with pytest.raises(RemoteProtocolError, match="scheme"):
        verified(keys(), REQUEST, CONTEXT, forged(certificate, certificate_verify(scheme, signature)))


def test_a_tls_handshake_s_signature_is_no_authenticator() -> None:
    """The context string keeps a CertificateVerify of a TLS handshake from being carried over."""
    own = credential()
    certificate = authenticator.encode_certificate(CONTEXT, own.chain)
    content = authenticator.signed_content(keys(), REQUEST, certificate)
    handshake_s = content.replace(b"Exported Authenticator", b"TLS 1.3, client CertificateVerify")
    signature = sign(own.private_key, handshake_s)
    with pytest.raises(RemoteProtocolError, match="CertificateVerify"):
        verified(keys(), REQUEST, CONTEXT, forged(certificate, certificate_verify(0x0807, signature)))


def test_a_key_of_no_scheme_neither_signs_nor_verifies() -> None:
    other = private_key("p384")
    with pytest.raises(RemoteProtocolError, match="scheme"):
        verify(other.public_key(), 0x0403, b"", b"")
    with pytest.raises(LocalProtocolError, match="scheme"):
        _ = Credential((), other).scheme


def test_every_truncation_and_a_trailing_byte_are_refused() -> None:
    whole = answer()
    for length in range(len(whole)):
        with pytest.raises(RemoteProtocolError):
            verified(keys(), REQUEST, CONTEXT, whole[:length])
    with pytest.raises(RemoteProtocolError, match="too many"):
        verified(keys(), REQUEST, CONTEXT, whole + b"\0")


def test_every_damaged_byte_is_noticed() -> None:
    whole = answer()
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 0x55
        with pytest.raises(RemoteProtocolError):
            verified(keys(), REQUEST, CONTEXT, bytes(damaged))


@pytest.mark.filterwarnings("ignore")  # cryptography warns of some of what it still parses
@given(st.data())
@settings(deadline=None, max_examples=100)
def test_damage_that_finished_covers_raises_the_declared_error_alone(data: st.DataObject) -> None:
    """The other end holds finished_key too, so the messages before Finished must stand on their own."""
    own = credential()
    certificate = bytearray(authenticator.encode_certificate(CONTEXT, own.chain))
    content = authenticator.signed_content(keys(), REQUEST, bytes(certificate))
    verification = bytearray(certificate_verify(0x0807, sign(own.private_key, content)))
    victim = data.draw(st.sampled_from([certificate, verification]))
    position = data.draw(st.integers(4, len(victim) - 1))
    victim[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(RemoteProtocolError):
        verified(keys(), REQUEST, CONTEXT, forged(bytes(certificate), bytes(verification)))


@given(st.binary(max_size=400))
@settings(deadline=None, max_examples=100)
def test_noise_raises_the_declared_error_alone(noise: bytes) -> None:
    messages = (noise, handshake(11, noise) + handshake(15, noise) + handshake(20, bytes(32)))
    for message in (*messages, forged(handshake(11, noise), handshake(15, noise))):
        with pytest.raises(RemoteProtocolError):
            verified(keys(), REQUEST, CONTEXT, message)


def test_keys_stay_out_of_repr() -> None:
    assert "handshake_context" not in repr(keys())
    assert "finished_key" not in repr(keys())
    assert "private" not in repr(credential()).lower()
