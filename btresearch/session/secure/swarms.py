"""Who announced which torrent, with which pin: the state of an authenticated tracker. No I/O, time passed in."""

from __future__ import annotations

import random
from collections.abc import Set
from dataclasses import dataclass, field

from btresearch.peer import Address, AnnounceRequest, AnnounceResponse, KnownPeer
from btresearch.session.secure.errors import Refused
from btresearch.session.secure.members import Issue

MAX_PEERS_PER_TORRENT = 10_000
MAX_PEERS_PER_MEMBER = 16
"""Of one torrent: a member's machines, IPv4 and IPv6 each."""


@dataclass(frozen=True, slots=True)
class _Peer:
    peer_id: bytes
    member: str
    pin: bytes
    seed: bool
    listed_until_s: float


@dataclass
class Swarms:
    """The peers of every torrent, in memory."""

    interval_s: int
    rng: random.Random = field(default_factory=random.Random, repr=False)
    _peers: dict[int, dict[Address, _Peer]] = field(default_factory=dict, repr=False)

    def announce(
        self,
        torrent: int,
        said: AnnounceRequest,
        address: Address,
        *,
        member: str,
        issue: Issue | None,
        entitled: Set[str],
        now_s: float,
    ) -> tuple[AnnounceResponse, list[bytes]]:
        """The answer, and the peer ids of its peers.

        A peer is listed with the pin of `issue`, and no longer than that certificate holds; without one it is told
        of others and not listed. Who is not among `entitled` any more is forgotten.

        Raises Refused: the address is another member's, or too many peers.
        """
        peers = self._current(torrent, entitled, now_s)
        if (holder := peers.get(address)) is not None and holder.member != member:
            raise Refused(403, "another member announces this address and port")
        peers.pop(address, None)
        if said.event == "stopped":
            return AnnounceResponse(self.interval_s), []
        if issue is not None:
            self._list(peers, address, _peer(said, member, issue, now_s + 2 * self.interval_s))
        return self._answer(peers, said, address)

    def __len__(self) -> int:
        """How many peers there are in all."""
        return sum(map(len, self._peers.values()))

    def _current(self, torrent: int, entitled: Set[str], now_s: float) -> dict[Address, _Peer]:
        peers = self._peers.setdefault(torrent, {})
        for address in [
            a for a, peer in peers.items() if peer.listed_until_s <= now_s or peer.member not in entitled
        ]:
            del peers[address]
        return peers

    def _list(self, peers: dict[Address, _Peer], address: Address, peer: _Peer) -> None:
        own = sum(other.member == peer.member for other in peers.values())
        if own >= MAX_PEERS_PER_MEMBER or len(peers) >= MAX_PEERS_PER_TORRENT:
            raise Refused(403, "too many peers")
        peers[address] = peer

    def _answer(
        self, peers: dict[Address, _Peer], said: AnnounceRequest, address: Address
    ) -> tuple[AnnounceResponse, list[bytes]]:
        # A seed has no use for seeds.
        others = [(a, p) for a, p in peers.items() if a != address and not (said.left == 0 and p.seed)]
        chosen = self.rng.sample(others, min(said.numwant, len(others)))
        seeds = sum(peer.seed for peer in peers.values())
        known = tuple(KnownPeer(a, tls=True, requires_tls=True, pin=peer.pin) for a, peer in chosen)
        response = AnnounceResponse(self.interval_s, known, seeds, len(peers) - seeds)
        return response, [peer.peer_id for _, peer in chosen]


def _peer(said: AnnounceRequest, member: str, issue: Issue, until_s: float) -> _Peer:
    return _Peer(said.peer_id, member, issue.pin, said.left == 0, min(until_s, issue.not_after_s))
