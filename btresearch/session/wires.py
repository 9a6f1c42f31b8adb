"""The key material of one endpoint: transports to dial with, and those for what a stranger's first bytes say."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cached_property, partial

from btresearch.errors import InputError
from btresearch.peer.address import Address
from btresearch.peer.handshake import INFOHASH_BYTES
from btresearch.session import identity
from btresearch.session.keylog import MemoryKeyLog
from btresearch.session.membership import Membership
from btresearch.session.policy import Policy
from btresearch.session.quota import Quota
from btresearch.transport import Clear, LocalProtocolError, MseInitiator, MseResponder, SkeyIndex, Transport
from btresearch.transport.btls import (
    ClientFactory,
    Initiator,
    Keyring,
    Member,
    Responder,
    ServerIdentity,
    TorrentKey,
    best_client,
)
from btresearch.transport.dispatch import Wire
from btresearch.transport.mse.wire import Method

# A lookup in more torrents runs in a thread. Up to here (CHUNK_ROWS of the keyring) it takes some 30 us, and the
# change of threads would take several times as long.
MAX_INLINE_LOOKUP = 8192
# Longer sleeps are cut: a machine that was suspended wakes up with an old certificate.
MAX_RENEWAL_PAUSE_S = 6 * 3600.0


class Wires:
    """Torrents come with `serve` and go with `forget`; each is found over the transports of its own policy."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._keyring, self._skeys = Keyring(), SkeyIndex()
        self._memberships: dict[bytes, Membership] = {}
        self._own_ekms: set[bytes] = set()
        self._lookups = Quota()
        self._make_identity: Callable[[], ServerIdentity] = identity.fresh
        self._identity: ServerIdentity | None = None

    async def prepare(self, host: str, *, keep_identity: bool) -> None:
        """Have the TLS identity of listening address `host` at hand; before anyone can connect."""
        if self.policy.accepts("tls"):
            self._make_identity = partial(identity.kept, host) if keep_identity else identity.fresh
            self._identity = await asyncio.to_thread(self._make_identity)

    async def keep_current(self) -> None:
        """Replace the identity before it expires, for as long as this runs."""
        while self._identity is not None:
            left = identity.renewal_of(self._identity) - datetime.now(UTC)
            await asyncio.sleep(min(max(left.total_seconds(), 0.0), MAX_RENEWAL_PAUSE_S))
            if not identity.is_current(self._identity):
                self._identity = await asyncio.to_thread(self._make_identity)

    def serve(self, membership: Membership, policy: Policy) -> None:
        """Recognise this torrent, over what `policy` allows. Raises InputError if this endpoint has no TLS."""
        if policy.accepts("tls"):
            if not self.policy.accepts("tls"):
                raise InputError("transport", "btls on this endpoint: the torrent requires it")
            for key in membership.keys:
                self._keyring.add(key)
                self._memberships[key.infohash] = membership
        if policy.accepts("mse"):
            for infohash in membership.infohashes:
                self._skeys.add(infohash[:INFOHASH_BYTES])

    def forget(self, membership: Membership) -> None:
        """Nobody finds this torrent any more."""
        for infohash in membership.infohashes:
            self._keyring.discard(infohash)
            self._skeys.discard(infohash[:INFOHASH_BYTES])
            self._memberships.pop(infohash, None)

    def outgoing(
        self, name: str, membership: Membership, *, pin: bytes | None = None, skey: bytes | None = None
    ) -> Transport:
        """An initiator's transport. `pin`: SPKI SHA-256 of the leaf that must answer, at level Full.

        `skey`: the infohash that MSE is to be keyed with, if not the first.
        Raises LocalProtocolError at Full while there is no credential.
        """
        if name.startswith("btls"):
            return Initiator(
                membership.dial_key,
                client=self._client,
                shape=self.policy.shape,
                own_ekms=self._own_ekms,
                member=_present(membership),
                pin=pin,
                entropy=os.urandom,
                now_s=time.time,
            )
        if membership.level != "basic":
            raise LocalProtocolError(f"{name}: the torrent's level is {membership.level}")
        if name == "clear":
            return Clear()
        method: Method = "rc4" if name == "mse_rc4" else "plain"
        skey = skey or membership.infohashes[0][:INFOHASH_BYTES]
        return MseInitiator(skey, entropy=os.urandom, methods=(method,))

    def incoming(self, wire: Wire, address: Address) -> Transport:
        """A responder's transport for what the first bytes announce."""
        if wire == "clear":
            return Clear()
        if wire == "mse":
            return MseResponder(self._skeys, entropy=os.urandom, methods=self.policy.mse_methods())
        if self._identity is None:
            raise LocalProtocolError("this endpoint has no TLS identity")
        return Responder(
            self._keyring,
            self._identity,
            entropy=os.urandom,
            shape=self.policy.shape,
            deferred_lookup=len(self._keyring) > MAX_INLINE_LOOKUP,
            own_ekms=self._own_ekms,
            admit=lambda: self._lookups.admit(address),
            member_of=self._member_of,
            now_s=time.time,
        )

    def _member_of(self, key: TorrentKey) -> Member | None:
        membership = self._memberships.get(key.infohash)
        return None if membership is None else _present(membership)

    @cached_property
    def _client(self) -> ClientFactory:
        return best_client(MemoryKeyLog())


def _present(membership: Membership) -> Member | None:
    """One's credential, unless it has expired: with that one, nobody is to learn that the torrent is here."""
    member = membership.member()
    return member if member is not None and time.time() < member.credential.not_after_s else None
