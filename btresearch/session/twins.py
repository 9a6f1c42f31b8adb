"""Two peers that dial each other at once: which of the two connections stays.

Over btls a peer_id is a connection's own, so it can't tell. Instead, the initiator says where it listens (BEP 10,
key `p`), and of two connections with the same host and listening port, one made by each end, the one whose initiator
has the lower peer_id stays. Both ends know both peer_ids: they choose the same one. Two that came in are no twins:
behind one address translator, many peers name the same port.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from btresearch.peer.address import Address

if TYPE_CHECKING:
    from btresearch.session.remote import Remote


def listening_address(remote: Remote, port: int | None) -> Address | None:
    """Where the peer listens: where it was dialled, or at the `port` that its extension handshake names."""
    if remote.connection.initiator:
        return remote.address
    return None if port is None else Address(remote.address.host, port)


def loser(remote: Remote, others: Iterable[Remote]) -> Remote | None:
    """Which connection has to go now that `remote` has said where it listens; None if it has no twin."""
    for other in others:
        crossed = other.connection.initiator != remote.connection.initiator
        if crossed and other.listens_at == remote.listens_at and other.connection.established:
            return max(remote, other, key=_initiators_peer_id)
    return None


def surplus(remote: Remote, other: Remote) -> Remote:
    """Which of two connections to one peer_id has to go: `remote`, the newer, unless the two were dialled at once."""
    if remote.connection.initiator == other.connection.initiator:
        return remote
    return max(remote, other, key=_initiators_peer_id)


def _initiators_peer_id(remote: Remote) -> bytes:
    connection = remote.connection
    if connection.initiator or connection.remote is None:
        return connection.peer_id
    return connection.remote.peer_id
