"""The secret of a torrent above level Basic: 32 bytes, drawn, or made from a generated passphrase."""

from __future__ import annotations

import base64
import hashlib
import unicodedata
from collections.abc import Callable

from btresearch.errors import InputError
from btresearch.peer.tls_info import SCRYPT_N, SCRYPT_P, SCRYPT_R, SECRET_BYTES, Kdf, commit_of

__all__ = ["commit_of", "generate_passphrase", "secret_from_passphrase"]

PASSPHRASE_CHARS = 20
"""Of base32, 5 bits each: 100 bits, which `commit` lets anyone guess at offline."""
MAX_PASSPHRASE_BYTES = 1024
_GROUP_CHARS = 4
_MAX_SCRYPT_BYTES = 128 * SCRYPT_N * SCRYPT_R + (1 << 20)


def secret_from_passphrase(passphrase: str, kdf: Kdf) -> bytes:
    """Put the passphrase through scrypt (RFC 7914), as UTF-8 in Normalization Form C.

    Takes 128 MiB and about half a second: not for the event loop. Raises InputError for one that is empty,
    too long or no Unicode text.
    """
    try:
        password = unicodedata.normalize("NFC", passphrase).encode()
    except UnicodeEncodeError as error:
        raise InputError("passphrase", "text") from error
    if not 0 < len(password) <= MAX_PASSPHRASE_BYTES:
        raise InputError("passphrase", f"1 to {MAX_PASSPHRASE_BYTES} bytes of UTF-8")
    return hashlib.scrypt(
        password,
        salt=kdf.salt,
        n=SCRYPT_N,
        r=SCRYPT_R,
        p=SCRYPT_P,
        maxmem=_MAX_SCRYPT_BYTES,
        dklen=SECRET_BYTES,
    )


def generate_passphrase(entropy: Callable[[int], bytes]) -> str:
    """A passphrase of 100 bits in groups of base32, lower case: abcd-efgh-ijkl-mnop-qrst.

    `entropy(n)` returns n random bytes.
    """
    text = base64.b32encode(entropy(PASSPHRASE_CHARS * 5 // 8 + 1)).decode().lower()[:PASSPHRASE_CHARS]
    return "-".join(text[at : at + _GROUP_CHARS] for at in range(0, PASSPHRASE_CHARS, _GROUP_CHARS))
