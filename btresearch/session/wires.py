"""Which transports this endpoint speaks: the one to dial with, the one for what a stranger's first bytes say."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import time
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property, partial

from btresearch.errors import InputError, printable
from btresearch.peer.address import Address
from btresearch.peer.magnet import Magnet
from btresearch.peer.torrent import Torrent
from btresearch.session import identity
from btresearch.session.keylog import MemoryKeyLog
from btresearch.transport import TRANSPORTS, Clear, MseInitiator, MseResponder, SkeyIndex, Transport
from btresearch.transport.btls import (
    ClientFactory,
    Initiator,
    Keyring,
    Responder,
    ServerIdentity,
    TorrentKey,
    best_client,
)
from btresearch.transport.dispatch import Wire
from btresearch.transport.mse.wire import Method

SHAPES = ("rechunk", "none")
DEFAULT_TRANSPORTS = ("btls_basic", "mse_rc4", "mse_plain", "clear")
# Proof lookups an address may cause in a minute; past it, the decoy (protocol.md, step 2).
LOOKUPS_PER_MINUTE = 240
MAX_ADDRESSES = 4096
# A lookup in more torrents runs in a thread: beyond this it costs more than the change of threads.
MAX_INLINE_LOOKUP = 1000


def require_basic(source: Torrent | Magnet) -> None:
    """Raises InputError for a torrent above level Basic: speaking anything less for it would betray it."""
    if (source.tls_info if isinstance(source, Torrent) else source.tls) is not None:
        name = printable(source.name or source.infohash.hex(), 100)
        raise InputError(
            name, "a torrent of btls level basic; this one requires more, which is not implemented"
        )


@dataclass(frozen=True, slots=True)
class Policy:
    """Transports by name, the preferred one first, and the shape of TLS records.

    All are accepted; the first is dialled with. A port whose transports are all TLS answers plain bytes as
    a web server does. After a failure the next transport is dialled, except that TLS never falls back.
    """

    transports: tuple[str, ...] = DEFAULT_TRANSPORTS
    shape: str = "rechunk"

    def __post_init__(self) -> None:
        unknown = [name for name in self.transports if name not in TRANSPORTS]
        if unknown or not self.transports:
            raise InputError(
                "transport", f"one or more of {', '.join(TRANSPORTS)}, not {', '.join(unknown) or 'none'}"
            )
        if self.shape not in SHAPES:
            raise InputError("shape", f"one of {', '.join(SHAPES)}, not {self.shape}")

    @property
    def requires_tls(self) -> bool:
        """Whether this port is a web server to everyone else."""
        return all(TRANSPORTS[name].wire == "tls" for name in self.transports)

    def accepts(self, wire: Wire) -> bool:
        """Whether a connection that begins like `wire` is served."""
        return any(TRANSPORTS[name].wire == wire for name in self.transports)

    def dial_with(self, failures: int) -> str:
        """The transport for the next dial after so many failures in a row."""
        if TRANSPORTS[self.transports[0]].wire == "tls":
            return self.transports[0]
        plain = [name for name in self.transports if TRANSPORTS[name].wire in ("clear", "mse")]
        return plain[failures % len(plain)]

    def mse_methods(self) -> tuple[Method, ...]:
        """MSE's crypto methods, the preferred one first."""
        methods: dict[str, Method] = {"mse_rc4": "rc4", "mse_plain": "plain"}
        return tuple(methods[name] for name in self.transports if name in methods)


class Wires:
    """The key material of one endpoint, and the transports made from it."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._keyring, self._skeys = Keyring(), SkeyIndex()
        self._own_ekms: set[bytes] = set()
        self._lookups = _Quota()
        self._identity: ServerIdentity  # set by `prepare`

    async def prepare(self, host: str, *, keep_identity: bool) -> None:
        """Have the TLS identity of listening address `host` at hand; before anyone can connect."""
        if self.policy.accepts("tls"):
            make = partial(identity.kept, host) if keep_identity else identity.fresh
            self._identity = await asyncio.to_thread(make)

    def serve(self, infohash: bytes) -> None:
        """Recognise this torrent when it is asked for."""
        self._keyring.add(infohash)
        self._skeys.add(infohash)

    def outgoing(self, name: str, infohash: bytes) -> Transport:
        """An initiator's transport."""
        if name == "clear":
            return Clear()
        if name == "btls_basic":
            return Initiator(
                TorrentKey.basic(infohash),
                client=self._client,
                shape=self.policy.shape,
                own_ekms=self._own_ekms,
            )
        method: Method = "rc4" if name == "mse_rc4" else "plain"
        return MseInitiator(infohash, entropy=os.urandom, methods=(method,))

    def incoming(self, wire: Wire, address: Address) -> Transport:
        """A responder's transport for what the first bytes announce."""
        if wire == "clear":
            return Clear()
        if wire == "mse":
            return MseResponder(self._skeys, entropy=os.urandom, methods=self.policy.mse_methods())
        return Responder(
            self._keyring,
            self._identity,
            entropy=os.urandom,
            shape=self.policy.shape,
            deferred_lookup=len(self._keyring) > MAX_INLINE_LOOKUP,
            own_ekms=self._own_ekms,
            admit=lambda: self._lookups.admit(address),
        )

    @cached_property
    def _client(self) -> ClientFactory:
        return best_client(MemoryKeyLog())


class _Quota:
    """Lookups per address (IPv6: per /56) in the present minute."""

    def __init__(self) -> None:
        self._counts: OrderedDict[tuple[str, int], int] = OrderedDict()

    def admit(self, address: Address) -> bool:
        key = (network(address.host), int(time.monotonic() // 60))
        self._counts[key] = self._counts.get(key, 0) + 1
        while len(self._counts) > MAX_ADDRESSES:
            self._counts.popitem(last=False)
        return self._counts[key] <= LOOKUPS_PER_MINUTE


def network(host: str) -> str:
    """Whose connections count as one's: an IPv4 address, an IPv6 /56; anything else is itself."""
    try:
        return str(ipaddress.IPv6Network(f"{host.partition('%')[0]}/56", strict=False))
    except ValueError:
        return host
