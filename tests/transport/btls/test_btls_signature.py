from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384

from btresearch.transport import LocalProtocolError, RemoteProtocolError
from btresearch.transport.btls.signature import SignatureScheme, scheme_of, sign, verify
from tests.transport.btls.certificates import private_key

SCHEMES = {
    "p256": SignatureScheme.ECDSA_SECP256R1_SHA256,
    "ed25519": SignatureScheme.ED25519,
    "rsa": SignatureScheme.RSA_PSS_RSAE_SHA256,
}
MESSAGE = b"what is signed"


def test_the_numbers_are_rfc_8446_s() -> None:
    assert [f"{scheme:04x}" for scheme in SignatureScheme] == ["0403", "0807", "0804"]


@pytest.mark.parametrize("kind", SCHEMES)
def test_a_signature_holds_for_its_key_scheme_and_message(kind: str) -> None:
    key, scheme = private_key(kind), SCHEMES[kind]
    signature = sign(key, MESSAGE)
    assert scheme_of(key.public_key()) is scheme
    verify(key.public_key(), scheme, signature, MESSAGE)
    for other in {*SCHEMES.values(), 0x0503, 0} - {scheme}:
        with pytest.raises(RemoteProtocolError, match="scheme"):
            verify(key.public_key(), other, signature, MESSAGE)
    for wrong in (b"", signature[:-1], signature + b"\0", bytes(len(signature))):
        with pytest.raises(RemoteProtocolError, match="does not hold"):
            verify(key.public_key(), scheme, wrong, MESSAGE)
    with pytest.raises(RemoteProtocolError, match="does not hold"):
        verify(key.public_key(), scheme, signature, MESSAGE + b".")


@pytest.mark.parametrize("kind", ["p256", "ed25519"])
def test_signatures_that_vectors_can_hold(kind: str) -> None:
    assert sign(private_key(kind), MESSAGE) == sign(private_key(kind), MESSAGE)


@pytest.mark.parametrize("kind", ["p384", "rsa1024"])
def test_other_keys_have_no_scheme(kind: str) -> None:
    assert scheme_of(private_key(kind).public_key()) is None


def test_rsa_with_another_padding_or_hash_is_refused() -> None:
    key = private_key("rsa")
    assert isinstance(key, rsa.RSAPrivateKey)
    pss = padding.PSS(padding.MGF1(SHA384()), 48)
    for signature in (key.sign(MESSAGE, padding.PKCS1v15(), SHA256()), key.sign(MESSAGE, pss, SHA384())):
        with pytest.raises(RemoteProtocolError, match="does not hold"):
            verify(key.public_key(), 0x0804, signature, MESSAGE)


def test_ecdsa_with_another_hash_is_refused() -> None:
    key = private_key("p256")
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    with pytest.raises(RemoteProtocolError, match="does not hold"):
        verify(key.public_key(), 0x0403, key.sign(MESSAGE, ec.ECDSA(SHA384())), MESSAGE)


def test_something_that_is_no_key_does_not_sign() -> None:
    with pytest.raises(LocalProtocolError, match="scheme"):
        sign(object(), MESSAGE)  # type: ignore[arg-type]
