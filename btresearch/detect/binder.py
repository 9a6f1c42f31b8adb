"""The dictionary attack on a PSK variant: TLS 1.3 with an external PSK made from the infohash.

No such protocol is deployed; it is the straw man that btls is compared with. Its ClientHello carries a binder, a
MAC over the hello under a key that follows from the PSK alone (RFC 8446, section 4.2.11.2). So whoever has a list
of infohashes, as any DHT crawler has, tests each of them offline against one recorded packet.

The straw man, in the variants of PSKS (infohash: 20 or 32 bytes as it is):

- raw: the PSK is the infohash;
- hmac: HMAC-SHA256(infohash, "bt-tls13 psk v1");
- hkdf: HKDF-SHA256(no salt, infohash, "bittorrent tls psk"), 32 bytes.

Only external PSKs ("ext binder") and the first ClientHello are tested: after a HelloRetryRequest the MAC covers
that too.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from btresearch.flow import HelloError, parse_client_hello

PRE_SHARED_KEY = 41
HASHES = {32: "sha256", 48: "sha384"}  # a binder's length is its hash's
MAX_BINDERS = 16


class Hit(NamedTuple):
    """The guess that made the binder."""

    infohash: bytes
    variant: str


@dataclass(frozen=True)
class Binder:
    """One binder of a ClientHello: the hash of what it covers, and itself."""

    hash: str
    transcript: bytes
    binder: bytes

    def proves(self, psk: bytes) -> bool:
        """Whether this PSK made the binder."""
        size = len(self.binder)
        early = hmac.digest(bytes(size), psk, self.hash)
        key = _expand(early, b"ext binder", hashlib.new(self.hash).digest(), self.hash)
        finished = _expand(key, b"finished", b"", self.hash)
        return hmac.digest(finished, self.transcript, self.hash) == self.binder


def binders(client_hello: bytes) -> list[Binder]:
    """The binders of a ClientHello message with its 4-byte header; none where there are none, or none that parse."""
    try:
        extensions = parse_client_hello(client_hello).extensions
    except HelloError:
        return []
    if not extensions or extensions[-1][0] != PRE_SHARED_KEY:  # it must be the last one
        return []
    body = extensions[-1][1]
    listed = body[2 + int.from_bytes(body[:2], "big") :]
    covered = client_hello[: len(client_hello) - len(listed)]
    found: list[Binder] = []
    at = 2
    while at < len(listed) and len(found) < MAX_BINDERS:
        binder = listed[at + 1 : at + 1 + listed[at]]
        if len(binder) in HASHES:
            name = HASHES[len(binder)]
            found.append(Binder(name, hashlib.new(name, covered).digest(), binder))
        at += 1 + listed[at]
    return found


def _hkdf(infohash: bytes) -> bytes:
    return hmac.digest(hmac.digest(bytes(32), infohash, "sha256"), b"bittorrent tls psk\x01", "sha256")


PSKS: dict[str, Callable[[bytes], bytes]] = {
    "raw": lambda infohash: infohash,
    "hmac": lambda infohash: hmac.digest(infohash, b"bt-tls13 psk v1", "sha256"),
    "hkdf": _hkdf,
}


def crack(client_hello: bytes, infohashes: Iterable[bytes]) -> Hit | None:
    """The infohash, and the variant, that made a binder of this hello; None where no guess did."""
    recorded = binders(client_hello)
    if not recorded:
        return None
    guesses = (Hit(infohash, variant) for infohash in infohashes for variant in PSKS)
    return next((hit for hit in guesses if _fits(recorded, PSKS[hit.variant](hit.infohash))), None)


def _fits(recorded: list[Binder], psk: bytes) -> bool:
    return any(binder.proves(psk) for binder in recorded)


def _expand(secret: bytes, label: bytes, context: bytes, name: str) -> bytes:
    """HKDF-Expand-Label to the hash's own length: one block (RFC 8446, section 7.1)."""
    label = b"tls13 " + label
    size = hashlib.new(name).digest_size
    info = struct.pack(">HB", size, len(label)) + label + bytes([len(context)]) + context
    return hmac.digest(secret, info + b"\x01", name)
