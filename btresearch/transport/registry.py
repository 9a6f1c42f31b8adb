"""The transports by the names that captures, benchmarks and the command line use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal


@dataclass(frozen=True)
class TransportKind:
    """One transport: its name, what it is, and how a listener recognises it.

    `wire` "ssl" is TLS on a port of its own, which no first bytes have to tell from the others.
    `repeatable`: the same entropy gives the same bytes (TLS libraries draw their own, so theirs don't).
    """

    name: str
    summary: str
    wire: Literal["clear", "mse", "tls", "ssl"]
    repeatable: bool


_KINDS = (
    TransportKind("clear", "BEP 3 in clear text", "clear", repeatable=True),
    TransportKind("mse_rc4", "Message Stream Encryption, payload under RC4", "mse", repeatable=True),
    TransportKind("mse_plain", "Message Stream Encryption, payload in clear text", "mse", repeatable=True),
    TransportKind(
        "ssl_torrent",
        "libtorrent's SSL torrents: TLS with the torrent's own CA",
        "ssl",
        repeatable=False,
    ),
    TransportKind("btls_basic", "TLS 1.3 with a proof from the infohash alone", "tls", repeatable=False),
    TransportKind("btls_strict", "TLS 1.3 with a proof from the torrent's secret", "tls", repeatable=False),
    TransportKind("btls_full", "btls_strict's proof, then certificates inside it", "tls", repeatable=False),
)

TRANSPORTS: Mapping[str, TransportKind] = MappingProxyType({kind.name: kind for kind in _KINDS})
