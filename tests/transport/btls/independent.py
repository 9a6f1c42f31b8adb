"""The specification's text, RFC 5869 and RFC 9261 computed once more, sharing no code with the package."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

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


def uint(number: int, size: int) -> bytes:
    return number.to_bytes(size, "big")


def sized(content: bytes, size: int) -> bytes:
    return uint(len(content), size) + content


def authenticator_request(kind: int, context: bytes) -> bytes:
    """RFC 9261 section 4 and RFC 8446 section 4.3.2, with signature_algorithms alone."""
    extension = uint(13, 2) + sized(sized(bytes.fromhex("0403 0807 0804"), 2), 2)
    return uint(kind, 1) + sized(sized(context, 1) + sized(extension, 2), 3)


def authenticator(
    algorithm: str,
    handshake_context: bytes,
    finished_key: bytes,
    request: bytes,
    chain: tuple[bytes, ...],
    sign: Callable[[bytes], tuple[int, bytes]],
) -> bytes:
    """RFC 9261 section 5.2; `sign` returns scheme and signature."""
    context = request[5 : 5 + request[4]]
    entries = b"".join(sized(der, 3) + uint(0, 2) for der in chain)
    transcript = handshake_context + request
    certificate = uint(11, 1) + sized(sized(context, 1) + sized(entries, 3), 3)
    transcript += certificate
    digest = hashlib.new(algorithm, transcript).digest()
    scheme, signature = sign(b"\x20" * 64 + b"Exported Authenticator\x00" + digest)
    verification = uint(15, 1) + sized(uint(scheme, 2) + sized(signature, 2), 3)
    transcript += verification
    mac = hmac.new(finished_key, hashlib.new(algorithm, transcript).digest(), algorithm).digest()
    return certificate + verification + uint(20, 1) + sized(mac, 3)
