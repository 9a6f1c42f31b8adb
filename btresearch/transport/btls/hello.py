"""The first application data each way: Hello = tag(16) || proof(32) || flags(1) || pad_len(2) || pad."""

from __future__ import annotations

import hmac
import struct

from btresearch.transport.btls.keys import LID_BYTES, PROOF_BYTES, ChannelSecrets, Role, TorrentKey

HEAD_BYTES = LID_BYTES + PROOF_BYTES + 3

REQUEST_RECORD_BYTES = 666
"""A browser's first HTTP/1.1 request as a TLS record, header included (Chromium 156 sends 644 bytes of GET)."""

RECORD_OVERHEAD_BYTES = 22
"""Record header 5, inner content type 1, AEAD tag 16 (RFC 8446 section 5.2)."""

INITIATOR_PAD_BYTES = REQUEST_RECORD_BYTES - RECORD_OVERHEAD_BYTES - HEAD_BYTES

_TAIL = struct.Struct(">BH")
_FLAGS = 0


def encode(key: TorrentKey, role: Role, secrets: ChannelSecrets, pad_bytes: int) -> bytes:
    """Return a Hello whose pad has `pad_bytes` zero bytes; the TLS record hides what they are."""
    tail = _TAIL.pack(_FLAGS, pad_bytes) + bytes(pad_bytes)
    return key.tag(secrets.K) + key.proof(role, secrets.EKM) + tail


def tag_of(head: bytes) -> bytes:
    """Return the tag of a Hello, which selects the torrent."""
    return head[:LID_BYTES]


def proves(head: bytes, key: TorrentKey, role: Role, secrets: ChannelSecrets) -> bool:
    """Tell, in constant time, whether a Hello is `role`'s for this torrent on this very connection."""
    expected = key.tag(secrets.K) + key.proof(role, secrets.EKM)
    return hmac.compare_digest(head[: len(expected)], expected)


def total_bytes(head: bytes) -> int:
    """Return the length that a proven Hello says it has, over a record's 16,384 where its pad is too long.

    `flags` has no meaning yet and is ignored.
    """
    _, pad_bytes = _TAIL.unpack_from(head, LID_BYTES + PROOF_BYTES)
    return HEAD_BYTES + int(pad_bytes)
