"""BitTorrent over TLS 1.3: ordinary TLS outside, and inside it a proof that both ends know the torrent.

`Initiator` dials with a browser's ClientHello and sends a Hello that names the torrent to its members alone;
`Responder` answers with its own Hello, or is an ordinary HTTPS server. TLS authenticates nothing here: any
certificate will do, and both proofs are bound to the connection by the RFC 8446 exporter. At level Full both
ends then prove, by RFC 9261 inside the channel, that the torrent's CA made them members.
"""

from __future__ import annotations

from btresearch.transport.btls.chain import Leaf
from btresearch.transport.btls.client import best_client
from btresearch.transport.btls.client_openssl import OpenSslClient
from btresearch.transport.btls.credential import Credential, Member
from btresearch.transport.btls.engine import ClientFactory, TlsEngine
from btresearch.transport.btls.exporter import KeyLog
from btresearch.transport.btls.identity import ServerIdentity
from btresearch.transport.btls.initiator import Initiator
from btresearch.transport.btls.keyring import Keyring
from btresearch.transport.btls.keys import Level, TorrentKey
from btresearch.transport.btls.responder import ConnectedToSelf, Query, Responder, Verdict

__all__ = [
    "ClientFactory",
    "ConnectedToSelf",
    "Credential",
    "Initiator",
    "KeyLog",
    "Keyring",
    "Leaf",
    "Level",
    "Member",
    "OpenSslClient",
    "Query",
    "Responder",
    "ServerIdentity",
    "TlsEngine",
    "TorrentKey",
    "Verdict",
    "best_client",
]
