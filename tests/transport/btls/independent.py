"""The key schedule once more, from RFC 5869 and the specification's text, sharing no code with the package."""

from __future__ import annotations

import hashlib
import hmac

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes


def mac(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()


def first_block(prk: bytes, info: bytes) -> bytes:
    """T(1) of HKDF-Expand: all that 32 bytes of output need."""
    return mac(prk, info + b"\x01")


def basic(infohash: bytes, EKM: bytes, K: bytes) -> dict[str, bytes]:
    SK = mac(b"bittorrent-tls basic", infohash)
    LID = first_block(SK, b"lookup")[:16]
    encryptor = Cipher(algorithms.AES128(K), modes.ECB()).encryptor()
    sealed = encryptor.update(LID) + encryptor.finalize()
    return {
        "SK": SK,
        "LID": LID,
        "tag": bytes(x ^ y for x, y in zip(sealed, LID, strict=True)),
        "initiator_proof": mac(first_block(SK, b"proof initiator"), EKM),
        "responder_proof": mac(first_block(SK, b"proof responder"), EKM),
    }
