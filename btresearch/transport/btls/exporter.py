"""TLS 1.3 exporters from a key log, for a library that logs EXPORTER_SECRET but has no exporter call."""

from __future__ import annotations

import hashlib
import hmac
import struct
from typing import Protocol

from btresearch.transport.btls.engine import HashName
from btresearch.transport.errors import LocalProtocolError

MAX_UNCLAIMED = 256
"""Secrets kept for handshakes that finished and were never asked about."""

_HASH_OF_SECRET_BYTES: dict[int, HashName] = {32: "sha256", 48: "sha384"}


class KeyLog(Protocol):
    """Where a TLS library writes its key log, in memory (a memfd, say); the runtime makes it."""

    @property
    def path(self) -> str:
        """Name under which the library opens it for appending."""
        ...

    def drain(self) -> bytes:
        """Return all that was logged since the last call, and erase it."""
        ...


def hkdf_expand_label(secret: bytes, label: bytes, context: bytes, length: int, algorithm: HashName) -> bytes:
    """HKDF-Expand-Label (RFC 8446 section 7.1)."""
    label = b"tls13 " + label
    info = struct.pack(">HB", length, len(label)) + label + bytes([len(context)]) + context
    okm = block = b""
    counter = 1
    while len(okm) < length:
        block = hmac.digest(secret, block + info + bytes([counter]), algorithm)
        okm, counter = okm + block, counter + 1
    return okm[:length]


def hash_of(exporter_secret: bytes) -> HashName:
    """Return the cipher suite's hash. Raises LocalProtocolError where the secret was dropped."""
    try:
        return _HASH_OF_SECRET_BYTES[len(exporter_secret)]
    except KeyError:
        raise LocalProtocolError("btls: there is no exporter secret (any more)") from None


def tls13_exporter(exporter_secret: bytes, label: bytes, context: bytes, length: int) -> bytes:
    """TLS-Exporter(label, context, length) (RFC 8446 section 7.5) from exporter_master_secret."""
    algorithm = hash_of(exporter_secret)
    empty = hashlib.new(algorithm).digest()
    derived = hkdf_expand_label(exporter_secret, label, empty, len(empty), algorithm)
    return hkdf_expand_label(
        derived, b"exporter", hashlib.new(algorithm, context).digest(), length, algorithm
    )


class ExporterSecrets:
    """exporter_master_secret by client random, read from a key log (format: NSS, `SSLKEYLOGFILE`)."""

    def __init__(self, keylog: KeyLog) -> None:
        self._keylog = keylog
        self._by_random: dict[bytes, bytes] = {}

    def take(self, client_random: bytes) -> bytes:
        """Return one connection's secret and forget it. Raises LocalProtocolError if it was not logged."""
        for line in self._keylog.drain().splitlines():
            self._note(line)
        try:
            return self._by_random.pop(client_random)
        except KeyError:
            raise LocalProtocolError("btls: the key log has no EXPORTER_SECRET for this handshake") from None

    def _note(self, line: bytes) -> None:
        match line.split():
            case [b"EXPORTER_SECRET", client_random, secret]:
                self._by_random[bytes.fromhex(client_random.decode())] = bytes.fromhex(secret.decode())
        if len(self._by_random) > MAX_UNCLAIMED:
            del self._by_random[next(iter(self._by_random))]
