"""The straw man that btls is compared with: a ClientHello with a pre-shared key, and its binder (RFC 8446, 4.2.11).

Written from the RFC and shared with no detector, so that the dictionary attack is tested by another's arithmetic.
"""

from __future__ import annotations

import hashlib
import hmac

PRE_SHARED_KEY = 41
IDENTITY = b"bittorrent"
BINDER_BYTES = 32


def with_psk(client_hello: bytes, psk: bytes) -> bytes:
    """The ClientHello (with its 4-byte header) as a client sends it that also offers an external PSK.

    The hello must have extensions; what it offers besides stays as it is.
    """
    identity = len(IDENTITY).to_bytes(2, "big") + IDENTITY + bytes(4)
    offered = len(identity).to_bytes(2, "big") + identity
    binders_bytes = 2 + 1 + BINDER_BYTES
    extension = (
        PRE_SHARED_KEY.to_bytes(2, "big") + (len(offered) + binders_bytes).to_bytes(2, "big") + offered
    )
    covered = _grown(client_hello, len(extension) + binders_bytes) + extension
    return covered + (1 + BINDER_BYTES).to_bytes(2, "big") + bytes([BINDER_BYTES]) + _binder(psk, covered)


def _grown(hello: bytes, more: int) -> bytes:
    """The hello with its own length and that of its extensions raised by `more`."""
    at = _extensions_at(hello)
    extensions = int.from_bytes(hello[at : at + 2], "big") + more
    body = hello[4:at] + extensions.to_bytes(2, "big") + hello[at + 2 :]
    return hello[:1] + (len(body) + more).to_bytes(3, "big") + body


def _extensions_at(hello: bytes) -> int:
    """Where the length of the extensions stands: behind version, random, session, ciphers and compression."""
    at = 4 + 2 + 32
    at += 1 + hello[at]
    at += 2 + int.from_bytes(hello[at : at + 2], "big")
    return at + 1 + hello[at]


def _binder(psk: bytes, covered: bytes) -> bytes:
    early = hmac.digest(bytes(BINDER_BYTES), psk, "sha256")
    key = _derived(early, b"ext binder", hashlib.sha256().digest())
    finished = _derived(key, b"finished", b"")
    return hmac.digest(finished, hashlib.sha256(covered).digest(), "sha256")


def _derived(secret: bytes, name: bytes, context: bytes) -> bytes:
    """HKDF-Expand-Label of 32 bytes (RFC 8446, section 7.1): one block of HKDF-Expand."""
    label = b"tls13 " + name
    info = (32).to_bytes(2, "big") + bytes([len(label)]) + label + bytes([len(context)]) + context
    return hmac.digest(secret, info + b"\x01", "sha256")
