"""The secret and its commitment; passphrases, however they are typed."""

from __future__ import annotations

import hashlib
import re

import pytest

from btresearch.errors import InputError
from btresearch.peer.secret import (
    MAX_PASSPHRASE_BYTES,
    commit_of,
    generate_passphrase,
    secret_from_passphrase,
)
from btresearch.peer.tls_info import Kdf

KDF = Kdf(bytes(range(16)))


def test_commit_is_a_labelled_hash() -> None:
    assert commit_of(b"s" * 32) == hashlib.sha256(b"bittorrent-tls commit" + b"s" * 32).digest()


def test_passphrase_is_normalised_before_scrypt() -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    expected = Scrypt(salt=KDF.salt, length=32, n=1 << 17, r=8, p=1).derive(composed.encode())
    assert secret_from_passphrase(decomposed, KDF) == expected


@pytest.mark.parametrize("text", ["", "x" * (MAX_PASSPHRASE_BYTES + 1), "\ud800"])
def test_unusable_passphrases(text: str) -> None:
    with pytest.raises(InputError, match="passphrase"):
        secret_from_passphrase(text, KDF)


def test_generated_ones_hold_a_hundred_bits() -> None:
    asked: list[int] = []

    def entropy(count: int) -> bytes:
        asked.append(count)
        return bytes(range(200, 200 + count))

    text = generate_passphrase(entropy)
    assert re.fullmatch(r"[a-z2-7]{4}(-[a-z2-7]{4}){4}", text)
    assert sum(asked) * 8 >= 100
    assert generate_passphrase(bytes) != text
