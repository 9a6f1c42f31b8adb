"""One torrent at work: its peers, whom it serves, whom it dials, what it bans, and how far it has come."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Hashable, Iterable, Mapping
from typing import TYPE_CHECKING

from btresearch.peer.address import Address
from btresearch.peer.choker import CHOKE_INTERVAL_NS, Choker
from btresearch.peer.connection import PeerConnection
from btresearch.peer.handshake import INFOHASH_BYTES, Handshake
from btresearch.peer.known import KnownPeer
from btresearch.peer.layout import Layout
from btresearch.peer.pieces import PieceSet
from btresearch.peer.torrent import Torrent
from btresearch.session import peer_exchange, twins
from btresearch.session.dialer import Dialer
from btresearch.session.disk import Disk
from btresearch.session.download import Download
from btresearch.session.hash_exchange import HashExchange
from btresearch.session.link import Link
from btresearch.session.membership import Membership
from btresearch.session.metadata_exchange import MetadataExchange
from btresearch.session.policy import Policy
from btresearch.session.quota import network
from btresearch.session.rates import NS_PER_S, RateMeter
from btresearch.session.remote import EXTENSIONS, PRIVATE_EXTENSIONS, Remote

if TYPE_CHECKING:
    from btresearch.session.node import Node

MAX_PEERS = 80
# Of MAX_PEERS, so that nobody takes a torrent's slots alone; as many may share a home's or a VPN's address.
MAX_PEERS_PER_HOST = 8
MAX_FAULTS = 3  # broken connections of one host before it is banned
TICK_S = 1.0

log = logging.getLogger(__name__)


class Swarm:
    """Made by `Node.join`. `metadata`, `completed` and `failed` are what callers wait for."""

    def __init__(
        self, node: Node, membership: Membership, *, torrent: Torrent | None, policy: Policy
    ) -> None:
        loop = asyncio.get_running_loop()
        self.node, self.membership, self.policy, self.torrent = node, membership, policy, torrent
        self.infohash = membership.infohashes[0][:INFOHASH_BYTES]
        self.content: Download | None = None
        self.external_host = ""  # this side as a tracker sees it (BEP 24)
        self.remotes: set[Remote] = set()
        self.dialer = Dialer()
        self.banned: dict[str, str] = {}  # host -> why
        self.down, self.up = RateMeter(node.now_ns()), RateMeter(node.now_ns())
        self.metadata: asyncio.Future[Torrent] = loop.create_future()
        self.completed: asyncio.Future[None] = loop.create_future()
        self.failed: asyncio.Future[None] = loop.create_future()  # only ever gets an exception
        self.first_block_ns = self.completed_ns = 0
        self._faults: dict[str, int] = {}
        self._choker = Choker(rng=node.rng)
        self._choked_ns = 0
        self._rechoke_scheduled = self._stopped = False
        self.metadata_exchange = MetadataExchange(self)
        self.hash_exchange = HashExchange(self)
        self._dials: set[asyncio.Task[None]] = set()
        self._ticker = loop.create_task(self._tick_forever())
        if torrent is not None:
            self.metadata.set_result(torrent)

    # what callers do

    def open(self, torrent: Torrent, disk: Disk, have: PieceSet) -> None:
        """Metadata and storage are ready: begin."""
        self.torrent = torrent
        self.content = Download(torrent, disk, have, rng=self.node.rng, watcher=self)
        for remote in list(self.remotes):
            remote.open()
        self._check_complete()

    def add_peers(
        self, peers: Iterable[Address | KnownPeer], *, patient: bool = False, hearsay: bool = False
    ) -> None:
        """Dial these soon; `patient` ones for ever. `hearsay`: what is said of their TLS, another peer says."""
        known = [peer if isinstance(peer, KnownPeer) else KnownPeer(peer) for peer in peers]
        note = self.node.tls_memory.heard if hearsay else self.node.tls_memory.speaks
        for peer in known:
            if peer.tls or peer.requires_tls:
                note(peer.address)
        self.dialer.add((peer for peer in known if peer.address.host not in self.banned), patient=patient)
        self._dial()

    def learn(self, torrent: Torrent) -> None:
        """The metadata has come, and is what the link promised; a v2 link promises SHA-256 all the way down."""
        self.torrent = torrent
        if torrent.missing_layers and self._infohash_v2 is not None:
            self.hash_exchange.fetch(torrent, self.learn)
            return
        if not self.metadata.done():
            self.metadata.set_result(torrent)

    def abandon(self, error: Exception) -> None:
        """The metadata is not what the link promised: hang up on everyone, dial nobody, serve nobody."""
        log.warning("%s", error)
        self._stopped = True
        self.node.leave(self)
        for remote in list(self.remotes):
            self._leave(remote)
            remote.close("metadata refused")
        self.fail(error)

    def fail(self, error: Exception) -> None:
        """Whoever watches gets `error`."""
        if not self.failed.done():
            self.failed.set_exception(error)
            self.failed.exception()  # asyncio would warn if nobody watched

    async def stop(self) -> None:
        """Hang up on everyone."""
        self._stopped = True
        for future in (self.metadata, self.completed, self.failed):
            future.cancel()
        tasks = [self._ticker, *self._dials]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for remote in list(self.remotes):
            self._leave(remote)
            remote.close("stopped")

    # connections

    @property
    def extensions(self) -> Mapping[bytes, int]:
        """Names and ids of what a connection of this torrent offers (BEP 10)."""
        return EXTENSIONS if peer_exchange.allowed(self.torrent) else PRIVATE_EXTENSIONS

    def connection(
        self, *, initiator: bool, proven: bytes | None = None, infohash: bytes | None = None
    ) -> PeerConnection:
        """A new connection's core.

        Over btls with the full infohash that was `proven`: the handshake repeats it, and the peer_id is the
        connection's own. Else `infohash` is what the peer asked for.
        """
        return PeerConnection(
            initiator=initiator,
            peer_id=self.node.peer_id if proven is None else self.node.new_peer_id(),
            infohash=(proven or infohash or self.infohash)[:INFOHASH_BYTES],
            infohash_v2=self._infohash_v2,
            layout=self.layout,
            extensions=self.extensions,
        )

    def skey(self, failures: int) -> bytes:
        """The infohash to dial with over MSE, after so many failures.

        Its responder has chosen before it sees a handshake, so no bit of that upgrades it: who needs hashes
        dials with v2's, and every third time with v1's, for a peer that knows no other.
        """
        needs_hashes = self.torrent is None or self.torrent.missing_layers
        infohash_v2 = self._infohash_v2 if needs_hashes and failures % 3 != 2 else None
        return infohash_v2 or self.infohash

    def adopt(self, link: Link, connection: PeerConnection, address: Address) -> Remote | None:
        """A connection that came in is ours from here on; None if there is no room for it."""
        reason = self._full(address.host)
        if reason:
            self.node.forget_peer_id(connection.peer_id)
            link.close(reason)
            return None
        remote = Remote(self, connection, address)
        remote.link, link.owner = link, remote
        self.remotes.add(remote)
        return remote

    def refuse(self, remote: Remote, handshake: Handshake) -> str:
        """Why this peer is not wanted; empty if it is."""
        if handshake.peer_id in self.node.own_peer_ids:
            self.dialer.discard(remote.address)
            return "connected to self"
        for other in self.remotes:
            known = other.connection.remote
            if other is not remote and known is not None and known.peer_id == handshake.peer_id:
                if twins.surplus(remote, other) is remote:
                    return "connected twice"
                self.drop(other, "connected twice", fault=False)
                break
        return ""

    def established(self, remote: Remote) -> None:
        """Both handshakes have passed."""
        log.info("%s: connected over %s", remote, "?" if remote.link is None else remote.link.transport.name)

    def listening(self, remote: Remote) -> None:
        """The peer has said where it listens: perhaps there is a connection to it already."""
        loser = twins.loser(remote, self.remotes)
        if loser is not None:
            self.drop(loser, "connected twice", fault=False)

    def drop(self, remote: Remote, reason: str, *, fault: bool) -> None:
        """Hang up on a peer; three faults ban its host."""
        log.log(logging.WARNING if fault else logging.INFO, "%s: dropped: %s", remote, reason)
        self._leave(remote)
        remote.close(reason)
        if fault:
            host = remote.address.host
            self._faults[host] = self._faults.get(host, 0) + 1
            if self._faults[host] >= MAX_FAULTS:
                self.ban(host, reason)
        self._redial(remote)

    def lost(self, remote: Remote, reason: str) -> None:
        """Its link is gone."""
        if remote in self.remotes:
            log.info("%s: lost: %s", remote, reason)
            self._leave(remote)
            self._redial(remote)

    def ban(self, host: str, reason: str) -> None:
        """Nobody from `host` any more."""
        if host in self.banned:
            return
        log.warning("%s: banned: %s", host, reason)
        self.banned[host] = reason
        self.dialer.forget(host)
        for remote in [remote for remote in self.remotes if remote.address.host == host]:
            self._leave(remote)
            remote.close(reason)

    def touch_all(self) -> None:
        """Something changed for everyone: blocks are free again, or the disk has caught up."""
        for remote in self.remotes:
            remote.touch()

    # what Remotes ask

    @property
    def layout(self) -> Layout | None:
        """None while the metadata or the storage is not ready."""
        return None if self.content is None else self.content.layout

    @property
    def _infohash_v2(self) -> bytes | None:
        """As a handshake has it (BEP 52)."""
        last = self.membership.infohashes[-1]
        return last[:INFOHASH_BYTES] if len(last) > INFOHASH_BYTES else None

    @property
    def have(self) -> PieceSet:
        """What this side has; nothing while the metadata is unknown."""
        return PieceSet(0) if self.content is None else self.content.have

    def count_upload(self, length: int, now_ns: int) -> None:
        """Bytes served."""
        self.up.total_bytes += length
        self.node.upload_limit.spend(length, now_ns)

    def count_download(self, length: int, now_ns: int) -> None:
        """Block bytes received, useful or not."""
        self.down.total_bytes += length
        self.first_block_ns = self.first_block_ns or now_ns

    def rechoke_soon(self) -> None:
        """Interest changed: decide again in this turn of the loop, once."""
        if not self._rechoke_scheduled:
            self._rechoke_scheduled = True
            asyncio.get_running_loop().call_soon(self._rechoke)

    # Watcher of the download

    def piece_passed(self, index: int) -> None:
        """Tell everyone; perhaps that was the last."""
        for remote in list(self.remotes):
            remote.announce_piece(index)
        self._check_complete()

    def piece_failed(self, index: int, liars: frozenset[Hashable]) -> None:
        """Blame whoever is known to have sent it."""
        log.warning("piece %d: wrong hash%s", index, "" if liars else ", sent by several peers")
        for liar in liars:
            if isinstance(liar, Remote):
                self.ban(liar.address.host, f"sent piece {index} with a wrong hash")
        for remote in self.remotes:
            remote.update_interest()
        self.touch_all()

    def disk_caught_up(self) -> None:
        """A read came back, or writes have."""
        self.touch_all()

    # inside

    def _full(self, host: str) -> str:
        """Why a connection from `host` has no place here; empty if it has."""
        if host in self.banned:
            return "banned"
        if len(self.remotes) >= MAX_PEERS:
            return "too many peers"
        return "too many peers of one host" if self._crowded(host) else ""

    def _crowded(self, host: str) -> bool:
        if _is_loopback(host):  # labs and tests have a whole swarm there, and no stranger can be
            return False
        near = network(host)
        return sum(network(remote.address.host) == near for remote in self.remotes) >= MAX_PEERS_PER_HOST

    def _leave(self, remote: Remote) -> None:
        if remote not in self.remotes:
            return
        self.remotes.discard(remote)
        self.metadata_exchange.remove_peer(remote)
        self.hash_exchange.remove_peer(remote)
        if remote.failed_tls:
            self.node.tls_memory.failed(remote.address, self.node.now_ns())
        self.node.forget_peer_id(remote.connection.peer_id)
        if self.content is not None:
            self.content.picker.remove_peer(remote)
        self.rechoke_soon()
        self.touch_all()

    def _redial(self, remote: Remote) -> None:
        self._ended(remote.address, was_useful=remote.down.total_bytes > 0)

    def _ended(self, address: Address, *, was_useful: bool) -> None:
        pause_ns = self.dialer.ended(address, self.node.now_ns(), was_useful=was_useful)
        if pause_ns:
            asyncio.get_running_loop().call_later(pause_ns / NS_PER_S, self._dial)

    def _check_complete(self) -> None:
        content = self.content
        if content is not None and content.complete and not self.completed.done():
            self.completed.set_result(None)
            self.completed_ns = self.node.now_ns()
            for remote in list(self.remotes):
                remote.update_interest()

    def _rechoke(self) -> None:
        self._rechoke_scheduled = False
        now_ns = self.node.now_ns()
        self._choked_ns = now_ns
        candidates = [remote.candidate() for remote in self.remotes]
        seeding = self.content is not None and self.content.complete
        unchoked = self._choker.decide(now_ns, candidates, seeding=seeding)
        for remote in list(self.remotes):
            remote.set_choked(remote not in unchoked)

    async def _tick_forever(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            now_ns = self.node.now_ns()
            self.down.tick(now_ns)
            self.up.tick(now_ns)
            for remote in list(self.remotes):
                remote.tick(now_ns)
            self.hash_exchange.ask()
            if now_ns - self._choked_ns >= CHOKE_INTERVAL_NS:
                self._rechoke()
            self._dial()

    def _dial(self) -> None:
        if self._stopped:
            return
        room = MAX_PEERS - len(self.remotes)
        for address in self.dialer.due(self.node.now_ns(), room):
            task = asyncio.get_running_loop().create_task(self._dial_one(address))
            self._dials.add(task)
            task.add_done_callback(self._dials.discard)

    async def _dial_one(self, address: Address) -> None:
        # Anew: of all that were due in one turn of the loop, none had begun when there still was room.
        if len(self.remotes) >= MAX_PEERS or any(remote.listens_at == address for remote in self.remotes):
            self.dialer.postpone(address, self.node.now_ns())
        elif self._crowded(address.host) or await self.node.dial(self, address) is None:
            self._ended(address, was_useful=False)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
