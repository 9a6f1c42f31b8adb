"""One endpoint: a listening port, its swarms, and what they share: clock, entropy, peer_id, key material."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import time
from collections import Counter
from types import TracebackType
from typing import Self

from btresearch import __version__
from btresearch.errors import InputError, printable
from btresearch.peer.address import Address
from btresearch.peer.handshake import INFOHASH_BYTES
from btresearch.peer.torrent import Torrent
from btresearch.session import ssl_port
from btresearch.session.decoy_site import DecoySite
from btresearch.session.link import Link, Owner, Tap
from btresearch.session.listener import Listener
from btresearch.session.membership import Membership
from btresearch.session.policy import Policy
from btresearch.session.rates import TokenBucket
from btresearch.session.remote import Remote
from btresearch.session.swarm import Swarm
from btresearch.session.tls_memory import TlsMemory
from btresearch.session.wires import Wires
from btresearch.transport import LocalProtocolError, Transport
from btresearch.transport.dispatch import Wire
from btresearch.transport.ssl_torrent import PeerCertificate

DIAL_S = 15.0
GOODBYE_S = 1.0
# BEP 20: two letters for the client, four digits for its version.
PEER_ID_PREFIX = b"-BR" + "".join(__version__.split(".")[:3]).ljust(4, "0").encode() + b"-"

log = logging.getLogger(__name__)


class Node:
    """An async context manager: listens on entry, hangs up on exit. Its swarms are of `swarm_type`."""

    swarm_type: type[Swarm] = Swarm

    def __init__(
        self,
        *,
        host: str = "",
        port: int = 0,
        policy: Policy | None = None,
        upload_bytes_per_s: int | None = None,
        tap: Tap | None = None,
        rng: random.Random | None = None,
        keep_identity: bool = True,
        ssl_certificate: PeerCertificate | None = None,
        ssl_listen_port: int = 0,
        decoy: DecoySite | None = None,
    ) -> None:
        self.policy = Policy() if policy is None else policy
        self.wires = Wires(self.policy)
        self.tap, self.decoy = tap, decoy
        self.rng = random.Random() if rng is None else rng
        self.swarms: dict[bytes, Swarm] = {}  # by every infohash, full and as a handshake has it
        self._policies: Counter[Policy] = (
            Counter()
        )  # of the swarms: each arrival asks, and there may be thousands
        self.tls_memory = TlsMemory()
        self.peer_id = PEER_ID_PREFIX + os.urandom(20 - len(PEER_ID_PREFIX))
        self.own_peer_ids = {self.peer_id}
        self.client_name = f"btresearch {__version__}"
        self.upload_limit = TokenBucket(upload_bytes_per_s, self.now_ns())
        self._host, self._port, self._keep_identity = host, port, keep_identity
        self._listener = Listener(self)
        self._ssl = None if ssl_certificate is None else ssl_port.SslPort(self, ssl_certificate)
        self._ssl_certificate, self._ssl_port = ssl_certificate, ssl_listen_port
        self._links: set[Link] = set()
        self._renewal: asyncio.Task[None] | None = None

    @staticmethod
    def now_ns() -> int:
        """A steady clock."""
        return time.monotonic_ns()

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._listener.port

    def is_ssl(self, infohash: bytes) -> bool:
        """Whether it is an SSL torrent, which has a port of its own and is spoken nowhere else."""
        return self._ssl is not None and infohash in self._ssl

    def port_of(self, infohash: bytes) -> int:
        """Where this torrent is listened for."""
        return self._ssl.port if self._ssl is not None and infohash in self._ssl else self.port

    async def __aenter__(self) -> Self:
        await self.wires.prepare(self._host, keep_identity=self._keep_identity)
        self._renewal = asyncio.create_task(self.wires.keep_current())
        await self._listener.start(self._host, self._port)
        if self._ssl is not None:
            await self._ssl.start(self._host, self._ssl_port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._listener.stop()
        if self._ssl is not None:
            await self._ssl.stop()
        if self._renewal is not None:
            self._renewal.cancel()
        for swarm in set(self.swarms.values()):
            await swarm.stop()
        await self._hang_up()

    def link(self, transport: Transport, owner: Owner | None = None) -> Link:
        """A link that is waited for when this endpoint goes."""
        link = Link(transport, tap=self.tap, owner=owner)
        by_message = self.policy.shape == "none" and transport.name.startswith("btls")
        link.coalesces = not by_message and transport.name != "ssl_torrent"
        self._links.add(link)
        link.gone.add_done_callback(lambda _: self._links.discard(link))
        return link

    async def _hang_up(self) -> None:
        """What is buffered may leave; what does not leave in time is cut off."""
        links = [link for link in self._links if link.connected]
        for link in links:
            link.close("stopped")
        if links:
            await asyncio.wait([link.gone for link in links], timeout=GOODBYE_S)
        for link in links:
            if not link.gone.done():
                link.abort("stopped")
        await asyncio.sleep(0)

    def join(
        self, membership: Membership, torrent: Torrent | None = None, *, policy: Policy | None = None
    ) -> Swarm:
        """Take part in a torrent; `policy` is its own, of this endpoint's transports.

        Raises InputError where the policy and the torrent's level don't go together, or for a torrent that is
        here already: a second joining, by a link that says less, must not lower its level.
        """
        if any(infohash in self.swarms for infohash in membership.infohashes):
            raise InputError("torrent", "one that this endpoint does not take part in already")
        if torrent is not None:
            ssl_port.check(torrent, self.policy.transports, self._ssl_certificate)
        wish = torrent is not None and torrent.requires_tls
        own = (policy or self.policy).of(membership, requires_tls=wish)
        if self._ssl is None or torrent is None or not self._ssl.serve(torrent):
            self.wires.serve(membership, own)
        swarm = self.swarm_type(self, membership, torrent=torrent, policy=own)
        self._policies[own] += 1
        for infohash in membership.infohashes:
            self.swarms[infohash] = self.swarms[infohash[:INFOHASH_BYTES]] = swarm
        return swarm

    def leave(self, swarm: Swarm) -> None:
        """Nobody finds this torrent here any more."""
        self.wires.forget(swarm.membership)
        names = [infohash for infohash, each in self.swarms.items() if each is swarm]
        for infohash in names:
            del self.swarms[infohash]
        if names:
            self._policies -= Counter([swarm.policy])

    @property
    def requires_tls(self) -> bool:
        """Whether the port is a web server to everyone else: only if every torrent on it requires TLS."""
        return all(policy.tls == "require" for policy in self._policies or [self.policy])

    def accepts(self, wire: Wire) -> bool:
        """Whether any torrent here may be spoken over what begins like `wire`."""
        return any(policy.accepts(wire) for policy in self._policies or [self.policy])

    def new_peer_id(self) -> bytes:
        """A random one for a single connection (protocol.md, step 5)."""
        peer_id = os.urandom(20)
        self.own_peer_ids.add(peer_id)
        return peer_id

    def forget_peer_id(self, peer_id: bytes) -> None:
        """Its connection is over."""
        if peer_id != self.peer_id:
            self.own_peer_ids.discard(peer_id)

    async def dial(self, swarm: Swarm, address: Address) -> Remote | None:
        """Connect to `address`; None if that failed."""
        try:
            transport = self._outgoing(swarm, address)
        except LocalProtocolError as error:  # level Full, and no credential at this time
            log.warning("%s: not dialled: %s", printable(str(address)), error)
            return None
        key_infohash = transport.infohash if transport.name.startswith("btls") else None
        connection = swarm.connection(initiator=True, proven=key_infohash, infohash=transport.infohash)
        remote = Remote(swarm, connection, address)
        link = self.link(transport, remote)
        remote.link = link
        swarm.remotes.add(remote)
        try:
            async with asyncio.timeout(DIAL_S):
                await asyncio.get_running_loop().create_connection(lambda: link, address.host, address.port)
        # ValueError: a name that no host can have, from a tracker or a magnet link
        except (OSError, TimeoutError, ValueError) as error:
            log.info("%s: can't connect: %s", printable(str(address)), error or "timed out")
            self.forget_peer_id(connection.peer_id)
            swarm.remotes.discard(remote)
            self._links.discard(link)
            return None
        return remote

    def _outgoing(self, swarm: Swarm, address: Address) -> Transport:
        if self._ssl is not None and swarm.infohash in self._ssl:
            return self._ssl.outgoing(swarm.infohash)
        name = swarm.policy.dial_with(
            swarm.dialer.failures(address),
            indicated=self.tls_memory.knows(address),
            tls_failed=self.tls_memory.failed_lately(address, self.now_ns()),
        )
        skey = swarm.skey(swarm.dialer.failures(address))
        return self.wires.outgoing(name, swarm.membership, pin=swarm.dialer.pin(address), skey=skey)
