from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from btresearch.transport import LocalProtocolError
from btresearch.transport.btls import Credential
from btresearch.transport.btls.signature import PrivateKey
from tests.transport.btls.certificates import Authority, ca, leaf, private_key
from tests.transport.pairs import NOW_S


def key_pem(key: PrivateKey, password: bytes = b"") -> bytes:
    protection = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection)


def chain_pem(*chain: bytes) -> bytes:
    return b"".join(x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM) for der in chain)


@pytest.mark.parametrize("kind", ["p256", "ed25519", "rsa"])
def test_what_is_written_as_pem_is_read(kind: str) -> None:
    made = Authority().member(leaf(kind=kind)).credential
    read = Credential.load(chain_pem(*made.chain), key_pem(made.private_key))
    assert (read.chain, read.scheme, read.spki_sha256) == (made.chain, made.scheme, made.spki_sha256)
    assert read.not_after_s == NOW_S + 4 * 3600


def test_one_intermediate_may_be_there() -> None:
    authority = Authority(ca(path_length=1))
    made = authority.member(leaf(), ca(101, subject="Issuing")).credential
    assert len(Credential.load(chain_pem(*made.chain), key_pem(made.private_key)).chain) == 3


MADE = Authority().member().credential
GOOD = chain_pem(*MADE.chain), key_pem(MADE.private_key)
P384 = Authority().member(leaf(kind="p384")).credential
WRONG = {
    "no PEM": (b"nothing", b"nothing", "no PEM chain"),
    "no key": (GOOD[0], b"", "no PEM chain"),
    "encrypted key": (GOOD[0], key_pem(MADE.private_key, b"password"), "no PEM chain"),
    "another key": (GOOD[0], key_pem(private_key("p256", 9)), "not the one that its leaf certifies"),
    "P-384": (chain_pem(*P384.chain), key_pem(P384.private_key), "not the one that its leaf certifies"),
    "leaf alone": (chain_pem(MADE.chain[0]), GOOD[1], "at most one issuer"),
    "four certificates": (GOOD[0] * 2, GOOD[1], "at most one issuer"),
    "CA first": (chain_pem(*reversed(MADE.chain)), GOOD[1], "not the one that its leaf certifies"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_files_are_refused_and_not_quoted(wrong: str) -> None:
    chain, key, why = WRONG[wrong]
    with pytest.raises(LocalProtocolError, match=why) as refused:
        Credential.load(chain, key)
    assert "PRIVATE" not in str(refused.value)
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_the_private_key_stays_out_of_repr() -> None:
    assert "Key" not in repr(MADE)
    assert "Key" not in repr(Authority().member())
