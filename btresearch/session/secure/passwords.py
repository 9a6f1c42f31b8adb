"""Passwords as they are stored: scrypt (RFC 7914) with a salt each.

Slow on purpose: not for the event loop.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from functools import cache

N, R, P = 2**15, 8, 1  # 32 MiB and about 0.1 s
SALT_BYTES = 16
HASH_BYTES = 32
GENERATED_BYTES = 18  # 144 bits
MIN_CHARS = 12
MAX_BYTES = 256
_MAX_MEMORY_BYTES = 2 * 128 * N * R


def generate() -> str:
    """A password that no one can guess: 24 characters of base64url."""
    return base64.urlsafe_b64encode(os.urandom(GENERATED_BYTES)).decode()


def hashed(password: str) -> str:
    """What to store of a password: `scrypt$salt$hash`, both in hexadecimal."""
    salt = os.urandom(SALT_BYTES)
    return f"scrypt${salt.hex()}${_scrypt(password, salt).hex()}"


def holds(stored: str | None, password: str) -> bool:
    """Whether `password` is the stored one; None, for nobody's, takes the same time and is False."""
    _, salt, expected = (stored or _nobodys()).split("$")
    return hmac.compare_digest(_scrypt(password, bytes.fromhex(salt)), bytes.fromhex(expected)) and bool(
        stored
    )


@cache
def _nobodys() -> str:
    return f"scrypt${bytes(SALT_BYTES).hex()}${bytes(HASH_BYTES).hex()}"


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(
        password.encode(), salt=salt, n=N, r=R, p=P, maxmem=_MAX_MEMORY_BYTES, dklen=HASH_BYTES
    )
