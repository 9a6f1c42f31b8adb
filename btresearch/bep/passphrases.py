"""Vectors of passphrases and commitments."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import cache

from btresearch.bep.examples import SECRET
from btresearch.bep.vector import Family, Plain, Vector, example_bytes
from btresearch.errors import InputError
from btresearch.peer.secret import commit_of, secret_from_passphrase
from btresearch.peer.tls_info import Kdf

KDF = Kdf(example_bytes("salt", 16))
PASSPHRASE = "mfrg-gzdf-mztw-q2lk-nnwg"
_CASES = (
    ("generated", PASSPHRASE, "ASCII"),
    ("composed", "r\u00e9sum\u00e9 \u00c5ngstr\u00f6m \u65e5\u672c\u8a9e", "NFC already"),
    (
        "decomposed",
        "re\u0301sume\u0301 \u212bngstro\u0308m \u65e5\u672c\u8a9e",
        "the same after NFC: combining accents, and U+212B for U+00C5",
    ),
    ("spaces", " word ", "nothing is trimmed"),
    ("too_long", "\u00e9" * 512 + "e", "1025 bytes: refused"),
    ("empty", "", "refused"),
    ("longest", "\u00e9" * 512, "1024 bytes of UTF-8"),
)


def families() -> Iterator[Family]:
    """The family of this module."""
    yield Family(
        "passphrase",
        "Torrent Files and Magnet Links",
        "From a passphrase and the salt of kdf to secret32, and from secret32 to commit.",
        [
            Vector("random_secret", {"secret32": SECRET}, {"commit": commit_of(SECRET)}, "no passphrase"),
            *(_vector(*case) for case in _CASES),
        ],
    )


def _vector(name: str, passphrase: str, comment: str) -> Vector:
    inputs: dict[str, Plain] = {"passphrase_text": passphrase, "salt": KDF.salt}
    try:
        secret = secret_of(passphrase)
    except InputError:
        return Vector(name, inputs, dict.fromkeys(("password", "secret32", "commit")), comment)
    outputs: dict[str, Plain] = {
        "password": unicodedata.normalize("NFC", passphrase).encode(),
        "secret32": secret,
        "commit": commit_of(secret),
    }
    return Vector(name, inputs, outputs, comment)


@cache
def secret_of(passphrase: str) -> bytes:
    """With `KDF`. Half a second each: once a process."""
    return secret_from_passphrase(passphrase, KDF)
