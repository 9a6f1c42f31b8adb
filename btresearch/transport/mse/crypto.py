"""The primitives that MSE names: Diffie-Hellman over a 768-bit prime, SHA-1 and RC4 with 1024 bytes dropped."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4
from cryptography.hazmat.primitives.ciphers import Cipher

from btresearch.transport.errors import RemoteProtocolError
from btresearch.transport.protocol import Bytes, Entropy

KEY_BYTES = 96
PRIVATE_KEY_BYTES = 20
RC4_DROP_BYTES = 1024

# The Oakley group 1 prime of RFC 2409 section 6.1 with another last quarter: MSE fixed its own.
P = int(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD"
    "EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A63A36210000000000090563",
    16,
)
G = 2

Update = Callable[[Bytes], bytes]


@dataclass(frozen=True)
class KeyPair:
    """X (160 random bits) and Y = G^X mod P as 96 big-endian bytes."""

    private: int = field(repr=False)
    public: bytes

    @classmethod
    def draw(cls, entropy: Entropy) -> KeyPair:
        """Draw X from `entropy` and compute Y."""
        private = int.from_bytes(entropy(PRIVATE_KEY_BYTES), "big")
        return cls(private, pow(G, private, P).to_bytes(KEY_BYTES, "big"))

    def agree(self, remote: bytes) -> bytes:
        """Return S, 96 bytes.

        Raises RemoteProtocolError for a key of an order so small that everybody knows S.
        """
        y = int.from_bytes(remote, "big")
        if not 1 < y < P - 1:
            raise RemoteProtocolError("MSE: public key is outside 2..P-2")
        return pow(y, self.private, P).to_bytes(KEY_BYTES, "big")


def sha1(*parts: bytes) -> bytes:
    """HASH(a, b, ...) of the specification."""
    return hashlib.sha1(b"".join(parts), usedforsecurity=False).digest()


def rc4(key: bytes) -> Update:
    """Return the update function of an RC4 stream whose first 1024 bytes are dropped."""
    # A method of the cipher context, so that bulk data takes one call into OpenSSL.
    update: Update = Cipher(ARC4(key), mode=None).encryptor().update
    update(bytes(RC4_DROP_BYTES))
    return update


def stream_ciphers(S: bytes, SKEY: bytes) -> tuple[Update, Update]:
    """Return (initiator to responder, responder to initiator): ENCRYPT with keyA and with keyB."""
    return rc4(sha1(b"keyA", S, SKEY)), rc4(sha1(b"keyB", S, SKEY))


def xor(a: bytes, b: bytes) -> bytes:
    """Bytewise exclusive or of two strings of one length."""
    return (int.from_bytes(a, "big") ^ int.from_bytes(b, "big")).to_bytes(len(a), "big")
