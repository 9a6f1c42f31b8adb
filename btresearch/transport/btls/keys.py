"""Key schedule: from a torrent to its lookup id and proofs. HKDF is RFC 5869 over SHA-256."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from btresearch.transport.errors import LocalProtocolError

Level = Literal["basic", "strict", "full"]
Role = Literal["initiator", "responder"]

EXPORTER_LABEL = b"EXPORTER-bittorrent-tls-1"
LOOKUP_LABEL = b"EXPORTER-bittorrent-tls-1 lookup"
EKM_BYTES = 32
LOOKUP_KEY_BYTES = 16
LID_BYTES = 16
PROOF_BYTES = 32
DISCOVERY_ID_BYTES = 20
SECRET_BYTES = 32
INFOHASH_BYTES = (20, 32)


def hkdf_extract(salt: bytes, ikm: bytes) -> bytes:
    """HKDF-Extract-SHA256 (RFC 5869 section 2.2)."""
    return hmac.digest(salt, ikm, "sha256")


def hkdf_expand(prk: bytes, info: bytes, length: int) -> bytes:
    """HKDF-Expand-SHA256 (RFC 5869 section 2.3), at most 255 * 32 bytes."""
    okm = block = b""
    for counter in range(1, -(-length // hashlib.sha256().digest_size) + 1):
        block = hmac.digest(prk, block + info + bytes([counter]), "sha256")
        okm += block
    return okm[:length]


@dataclass(frozen=True)
class TorrentKey:
    """What a member of a torrent can derive. The level comes from the torrent alone.

    `infohash` is the full one: 20 bytes (v1) or 32 (v2). `SK` is secret from `strict` on; none is ever logged.
    """

    infohash: bytes
    level: Level
    SK: bytes = field(repr=False)

    @classmethod
    def derive(cls, infohash: bytes, level: Level = "basic", secret: bytes = b"") -> TorrentKey:
        """Derive SK = HKDF-Extract("bittorrent-tls " || level, secret || infohash).

        Raises LocalProtocolError unless `secret` has 32 bytes, or none at `basic`.
        """
        if len(infohash) not in INFOHASH_BYTES:
            raise LocalProtocolError(f"btls: an infohash has 20 or 32 bytes, not {len(infohash)}")
        if len(secret) != (0 if level == "basic" else SECRET_BYTES):
            raise LocalProtocolError(f"btls: level {level} does not take a secret of {len(secret)} bytes")
        return cls(infohash, level, hkdf_extract(b"bittorrent-tls " + level.encode(), secret + infohash))

    @classmethod
    def basic(cls, infohash: bytes) -> TorrentKey:
        """Derive the key from the infohash alone: works for every torrent, a secret only from outsiders."""
        return cls.derive(infohash)

    @cached_property
    def lid(self) -> bytes:
        """LID = HKDF-Expand(SK, "lookup", 16)."""
        return hkdf_expand(self.SK, b"lookup", LID_BYTES)

    @cached_property
    def discovery_id(self) -> bytes:
        """HKDF-Expand(SK, "discovery", 20): stands for the infohash on DHT and trackers, from `strict` on."""
        return hkdf_expand(self.SK, b"discovery", DISCOVERY_ID_BYTES)

    def tag(self, K: bytes) -> bytes:
        """Name this torrent on the connection with lookup key K: AES-128-ECB(K, LID) XOR LID."""
        sealed = Cipher(AES(K), ECB()).encryptor().update(self.lid)
        return (int.from_bytes(sealed, "big") ^ int.from_bytes(self.lid, "big")).to_bytes(LID_BYTES, "big")

    def proof(self, role: Role, EKM: bytes) -> bytes:
        """HMAC-SHA256(HKDF-Expand(SK, "proof " || role, 32), EKM)."""
        return hmac.digest(hkdf_expand(self.SK, b"proof " + role.encode(), PROOF_BYTES), EKM, "sha256")


@dataclass(frozen=True)
class ChannelSecrets:
    """The two exporter values that bind a proof to one TLS connection."""

    EKM: bytes = field(repr=False)
    K: bytes = field(repr=False)
