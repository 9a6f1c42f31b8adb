"""What of a TLS server's answer shows on the wire: records, messages in clear, extensions in order, alerts."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

CCS, ALERT, HANDSHAKE, APPLICATION = 20, 21, 22, 23
SERVER_HELLO, NEW_TICKET, CERTIFICATE, SERVER_KEY = 2, 4, 11, 12
MAX_RECORDS = 256

_KINDS = {CCS: "ccs", ALERT: "alert", HANDSHAKE: "handshake", APPLICATION: "data"}
_MESSAGES = {
    SERVER_HELLO: "server_hello",
    NEW_TICKET: "ticket",
    CERTIFICATE: "certificate",
    SERVER_KEY: "key",
}
# SHA-256 of "HelloRetryRequest" (RFC 8446 section 4.1.3)
_RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
# A TLS 1.3 server's first protected messages; the signature in the third is of 70 to 72 bytes.
_PROTECTED = ("extensions", "certificate", "verify", "finished")


@dataclass(frozen=True, slots=True)
class Record:
    """One TLS record as it is on the wire."""

    kind: int
    version: int
    body: bytes


def looks_like_tls(wire: bytes) -> bool:
    """Whether an answer begins with a TLS record."""
    return len(wire) >= 3 and wire[0] in _KINDS and wire[1] == 3


def records(wire: bytes) -> Iterator[Record]:
    """Complete records, at most MAX_RECORDS."""
    for _ in range(MAX_RECORDS):
        if len(wire) < 5:
            return
        kind, version, length = struct.unpack(">BHH", wire[:5])
        if len(wire) < 5 + length:
            return
        yield Record(kind, version, wire[5 : 5 + length])
        wire = wire[5 + length :]


def describe(wire: bytes) -> tuple[str, ...]:
    """One word a record or message; sizes that a signature makes vary are masked."""
    words: list[str] = []
    protected = 0
    encrypted = False
    for record in records(wire):
        if record.kind == HANDSHAKE and not encrypted:
            words += [_message(kind, body) for kind, body in _messages(record.body)]
        elif record.kind == ALERT and len(record.body) == 2:
            words.append(f"alert {record.body[0]}:{record.body[1]} in {record.version:04x}")
        elif record.kind == APPLICATION:
            words.append(_protected(protected, len(record.body)))
            protected += 1
        else:
            encrypted = encrypted or record.kind == CCS
            words.append(f"{_KINDS.get(record.kind, record.kind)} {len(record.body)}")
    return tuple(words)


def _protected(index: int, length: int) -> str:
    name = _PROTECTED[index] if index < len(_PROTECTED) else "data"
    return f"{name} *" if name == "verify" else f"{name} {length}"


def _messages(body: bytes) -> Iterator[tuple[int, bytes]]:
    while len(body) >= 4:
        length = int.from_bytes(body[1:4], "big")
        yield body[0], body[4 : 4 + length]
        body = body[4 + length :]


def _message(kind: int, body: bytes) -> str:
    if kind == SERVER_HELLO and len(body) > 38:
        return _server_hello(body)
    if kind == NEW_TICKET and len(body) >= 6:
        return f"ticket {len(body) - 6} for {int.from_bytes(body[:4], 'big')} s"
    name = _MESSAGES.get(kind, f"message {kind}")
    return f"{name} *" if kind == SERVER_KEY else f"{name} {len(body)}"


def _server_hello(body: bytes) -> str:
    version = int.from_bytes(body[:2], "big")
    session = body[34]
    suite = int.from_bytes(body[35 + session : 37 + session], "big")
    extensions = ",".join(_extension(*one) for one in _extensions(body[40 + session :]))
    name = "retry" if body[2:34] == _RETRY else "server_hello"
    return f"{name} {version:04x} suite {suite:04x} session {session} [{extensions}]"


def _extensions(block: bytes) -> Iterator[tuple[int, bytes]]:
    while len(block) >= 4:
        kind, length = struct.unpack(">HH", block[:4])
        yield kind, block[4 : 4 + length]
        block = block[4 + length :]


def _extension(kind: int, content: bytes) -> str:
    if kind == 51:  # key_share: the group, not the key
        return f"51={int.from_bytes(content[:2], 'big')}"
    if kind in (43, 16):
        return f"{kind}={content.hex()}"
    return str(kind)
