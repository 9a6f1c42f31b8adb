"""What a tracker knows: the peers of every torrent, in memory, bounded. HTTP and UDP answer from the same."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from btresearch.errors import BtresearchError
from btresearch.peer import Address, AnnounceRequest, AnnounceResponse, KnownPeer

MAX_TORRENTS = 100_000
MAX_PEERS_PER_TORRENT = 10_000


class Refusal(BtresearchError):
    """The text of BEP 3's `failure reason`."""


@dataclass(slots=True)
class _Peer:
    peer_id: bytes
    seed: bool
    seen_ns: int
    known: KnownPeer


@dataclass(slots=True)
class _Swarm:
    peers: dict[Address, _Peer] = field(default_factory=dict)
    downloaded: int = 0

    def expire(self, before_ns: int) -> None:
        for address in [a for a, peer in self.peers.items() if peer.seen_ns < before_ns]:
            del self.peers[address]

    def counts(self) -> dict[bytes, int]:
        seeds = sum(peer.seed for peer in self.peers.values())
        return {b"complete": seeds, b"downloaded": self.downloaded, b"incomplete": len(self.peers) - seeds}


class TrackerSwarms:
    """Silent peers are forgotten after two intervals."""

    def __init__(self, *, interval_s: int, rng: random.Random, now_ns: Callable[[], int]) -> None:
        self._interval_s, self._rng, self._now_ns = interval_s, rng, now_ns
        self._swarms: dict[bytes, _Swarm] = {}

    def clear(self) -> None:
        """Forget everyone."""
        self._swarms.clear()

    def counts(self) -> dict[bytes, dict[bytes, int]]:
        """Infohash -> complete, downloaded, incomplete."""
        return {infohash: swarm.counts() for infohash, swarm in self._swarms.items()}

    def counts_of(self, infohash: bytes) -> dict[bytes, int] | None:
        """One torrent's; None if it is unknown here."""
        swarm = self._swarms.get(infohash)
        return None if swarm is None else swarm.counts()

    def announce(self, said: AnnounceRequest, address: Address) -> tuple[AnnounceResponse, list[bytes]]:
        """The answer to `said` from `address`, and the peer_id of each of its peers. Raises Refusal."""
        swarm = self._swarm(said.infohash)
        if said.event == "stopped":
            swarm.peers.pop(address, None)
            return AnnounceResponse(self._interval_s), []
        if len(swarm.peers) >= MAX_PEERS_PER_TORRENT and address not in swarm.peers:
            raise Refusal("too many peers")
        swarm.downloaded += said.event == "completed"
        known = KnownPeer(address, tls=said.supports_tls, requires_tls=said.requires_tls)
        swarm.peers[address] = _Peer(said.peer_id, said.left == 0, self._now_ns(), known)
        chosen, counts = self._choose(swarm, said, address), swarm.counts()
        peers = tuple(peer.known for peer in chosen)
        response = AnnounceResponse(self._interval_s, peers, counts[b"complete"], counts[b"incomplete"])
        return response, [peer.peer_id for peer in chosen]

    def _swarm(self, infohash: bytes) -> _Swarm:
        before_ns = self._now_ns() - 2 * self._interval_s * 1_000_000_000
        if infohash not in self._swarms and len(self._swarms) >= MAX_TORRENTS:
            self._expire_all(before_ns)
        swarm = self._swarms.setdefault(infohash, _Swarm())
        swarm.expire(before_ns)
        return swarm

    def _expire_all(self, before_ns: int) -> None:
        for swarm in self._swarms.values():
            swarm.expire(before_ns)
        self._swarms = {infohash: swarm for infohash, swarm in self._swarms.items() if swarm.peers}
        if len(self._swarms) >= MAX_TORRENTS:
            raise Refusal("too many torrents")

    def _choose(self, swarm: _Swarm, said: AnnounceRequest, address: Address) -> list[_Peer]:
        others = [peer for other, peer in swarm.peers.items() if other != address and _of_use(peer, said)]
        drawn = self._rng.sample(others, min(said.numwant, len(others)))
        if said.requires_tls and len(drawn) < len(others):
            drawn = sorted(self._rng.sample(others, len(others)), key=_lacks_tls)[: said.numwant]
        return drawn


def _lacks_tls(peer: _Peer) -> bool:
    return not peer.known.tls


def _of_use(peer: _Peer, said: AnnounceRequest) -> bool:
    """A seed has no use for seeds, and who says nothing of TLS none for those that require it."""
    if said.left == 0 and peer.seed:
        return False
    return said.supports_tls or not peer.known.requires_tls
