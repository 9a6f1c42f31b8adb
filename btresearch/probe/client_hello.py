"""ClientHellos to the byte, for offers that no library would make (RFC 8446 section 4.1.2).

Fields are constants, so that two hosts are asked the very same thing.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from enum import IntEnum

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

TLS10, TLS11, TLS12, TLS13 = 0x0301, 0x0302, 0x0303, 0x0304


class Group(IntEnum):
    """RFC 8446 section 4.2.7 and the registry of supported groups."""

    P256 = 23
    P384 = 24
    P521 = 25
    X25519 = 29
    X448 = 30
    FFDHE2048 = 256
    MLKEM768 = 4588


class Extension(IntEnum):
    """Registry of TLS extension types."""

    SERVER_NAME = 0
    STATUS_REQUEST = 5
    GROUPS = 10
    POINT_FORMATS = 11
    SIGNATURES = 13
    ALPN = 16
    EXTENDED_MASTER_SECRET = 23
    TICKET = 35
    PRE_SHARED_KEY = 41
    EARLY_DATA = 42
    VERSIONS = 43
    PSK_MODES = 45
    KEY_SHARE = 51
    RENEGOTIATION = 0xFF01


SUITES13 = (0x1301, 0x1302, 0x1303)
SUITES12 = (0xC02B, 0xC02C, 0xCCA9, 0xC009, 0xC00A, 0xC023, 0xC024, 0xC02F, 0xC030, 0x009C, 0x002F)
SIGNATURES = (0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601)
GROUPS = (Group.X25519, Group.P256, Group.X448, Group.P521, Group.P384)
_SHARE = (
    X25519PrivateKey.from_private_bytes(b"\x07" * 32)
    .public_key()
    .public_bytes(Encoding.Raw, PublicFormat.Raw)
)


@dataclass(frozen=True, kw_only=True)
class ClientHello:
    """What is offered; `encode` is the record on the wire."""

    legacy_version: int = TLS12
    record_version: int = TLS10
    versions: tuple[int, ...] = (TLS13, TLS12)
    suites: tuple[int, ...] = SUITES13 + SUITES12
    groups: tuple[int, ...] = GROUPS
    signatures: tuple[int, ...] = SIGNATURES
    alpn: tuple[bytes, ...] = ()
    server_name: bytes | None = None
    session_id: bytes = b"\x11" * 32
    compressions: bytes = b"\x00"
    extra: tuple[tuple[int, bytes], ...] = ()

    def but(self, **changes: object) -> ClientHello:
        """Another one, with `changes`."""
        return replace(self, **changes)  # type: ignore[arg-type]

    def encode(self) -> bytes:
        """One handshake record."""
        extensions = b"".join(
            struct.pack(">H", kind) + _vector(2, content) for kind, content in self._extensions()
        )
        body = (
            struct.pack(">H", self.legacy_version)
            + b"\x22" * 32
            + _vector(1, self.session_id)
            + _vector(2, _numbers(self.suites))
            + _vector(1, self.compressions)
            + _vector(2, extensions)
        )
        message = b"\x01" + _vector(3, body)
        return b"\x16" + struct.pack(">H", self.record_version) + _vector(2, message)

    def _extensions(self) -> list[tuple[int, bytes]]:
        found: list[tuple[int, bytes]] = []
        if self.server_name is not None:
            found.append((Extension.SERVER_NAME, _vector(2, b"\x00" + _vector(2, self.server_name))))
        found.append((Extension.EXTENDED_MASTER_SECRET, b""))
        found.append((Extension.RENEGOTIATION, b"\x00"))
        found.append((Extension.GROUPS, _vector(2, _numbers(self.groups))))
        found.append((Extension.POINT_FORMATS, b"\x01\x00"))
        found.append((Extension.TICKET, b""))
        if self.alpn:
            names = b"".join(_vector(1, name) for name in self.alpn)
            found.append((Extension.ALPN, _vector(2, names)))
        found.append((Extension.SIGNATURES, _vector(2, _numbers(self.signatures))))
        if TLS13 in self.versions:
            found += self._extensions13()
        return found + list(self.extra)

    def _extensions13(self) -> list[tuple[int, bytes]]:
        share = struct.pack(">H", Group.X25519) + _vector(2, _SHARE)
        return [
            (Extension.KEY_SHARE, _vector(2, share if Group.X25519 in self.groups else b"")),
            (Extension.PSK_MODES, b"\x01\x01"),
            (Extension.VERSIONS, _vector(1, _numbers(self.versions))),
        ]


def unknown_ticket() -> tuple[tuple[int, bytes], ...]:
    """early_data, and a pre_shared_key whose ticket no server ever gave (RFC 8446 section 4.2.11)."""
    identity = _vector(2, b"\x33" * 192) + bytes(4)
    offer = _vector(2, identity) + _vector(2, _vector(1, b"\x44" * 32))
    return ((Extension.EARLY_DATA, b""), (Extension.PRE_SHARED_KEY, offer))


def _vector(length_bytes: int, content: bytes) -> bytes:
    return len(content).to_bytes(length_bytes, "big") + content


def _numbers(values: tuple[int, ...]) -> bytes:
    return b"".join(struct.pack(">H", value) for value in values)
