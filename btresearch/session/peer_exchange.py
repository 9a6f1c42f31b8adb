"""Peer exchange with one peer of a swarm (BEP 11): inside its connection, never for private torrents (BEP 27)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import TYPE_CHECKING

from btresearch.peer import pex
from btresearch.peer.address import Address
from btresearch.peer.extension import ExtensionHandshake
from btresearch.peer.pex import PexDiary, PexPeer
from btresearch.peer.torrent import Torrent

if TYPE_CHECKING:
    from btresearch.session.remote import Remote


def allowed(torrent: Torrent | None) -> bool:
    """Whether peers may be named; while the metadata is unknown, they are only heard."""
    return torrent is None or not torrent.private


class PeerExchange:
    """The part of a `Remote` that names peers to it and learns peers from it."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._diary = PexDiary()
        self._said_tls = False

    def heard(self, event: ExtensionHandshake) -> None:
        """Its extension handshake."""
        self._said_tls |= event.tls

    def tick(self, now_ns: int) -> None:
        """Tell what changed, if it is time."""
        remote = self._remote
        torrent = remote.swarm.torrent
        if torrent is None or torrent.private or not remote.connection.peer_extensions.get(pex.NAME):
            return
        message = self._diary.next(now_ns, self._others(), to=remote.listens_at or remote.address)
        if message is not None:
            remote.connection.extended_message(pex.NAME, pex.encode(message))

    def receive(self, now_ns: int, payload: bytes) -> None:
        """Its message. Raises RemoteProtocolError."""
        if not allowed(self._remote.swarm.torrent):
            return
        found = self._diary.take(now_ns, payload).added
        may_know = [peer.known for peer in found if self._may_know(peer.address)]
        self._remote.swarm.add_peers(may_know, hearsay=True)

    def entry(self) -> PexPeer | None:
        """How others are told of this peer; None where its listening address is not known."""
        remote = self._remote
        if remote.listens_at is None or not remote.connection.established:
            return None
        over_btls = remote.link is not None and remote.link.transport.name.startswith("btls")
        flags = pex.SEED * remote.connection.peer_is_seed | pex.CONNECTABLE * remote.connection.initiator
        return PexPeer(remote.listens_at, flags | pex.BTLS * (over_btls or self._said_tls))

    def _others(self) -> Iterator[PexPeer]:
        for remote in self._remote.swarm.remotes:
            if remote is not self._remote and (entry := remote.exchange.entry()) is not None:
                yield entry

    def _may_know(self, address: Address) -> bool:
        """A peer on the internet has no business with addresses of this network."""
        here = ipaddress.ip_address(self._remote.address.host)
        return ipaddress.ip_address(address.host).is_global or not here.is_global
