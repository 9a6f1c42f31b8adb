"""Peer exchange, BEP 11: `ut_pex` messages, and whom to name in the next one.

The flag 0x20, which BEP 11 leaves free, says that a peer speaks BitTorrent over TLS on its listening port.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from btresearch.errors import InputError
from btresearch.peer import bencode, compact
from btresearch.peer.address import Address
from btresearch.peer.bencode import Encodable, Value
from btresearch.peer.errors import RemoteProtocolError
from btresearch.peer.known import KnownPeer

NAME = b"ut_pex"
INTERVAL_NS = 60_000_000_000
"""BEP 11: at most one message a minute."""
MIN_INTERVAL_NS = 45_000_000_000
"""A message of the peer that comes sooner is ignored; the clocks of real peers are not exact."""
MAX_PEERS = 50
"""BEP 11: added peers in a message, and dropped ones, IPv4 and IPv6 together."""
MAX_TAKEN = 200
"""Peers taken from one message: the first message of some clients names more than 50."""
MAX_MESSAGE_BYTES = 16 * 1024

SEED, BTLS, CONNECTABLE = 0x02, 0x20, 0x10
"""Flags of BEP 11: 0x01 prefers encryption (MSE), 0x02 seed, 0x04 uTP, 0x08 ut_holepunch, 0x10 reachable."""
_FAMILIES = ((b"", compact.IPV4_BYTES), (b"6", compact.IPV6_BYTES))


@dataclass(frozen=True, slots=True)
class PexPeer:
    """A peer and its flags byte."""

    address: Address
    flags: int = 0

    @property
    def known(self) -> KnownPeer:
        """What it says of TLS. That a peer requires TLS, or its pin, no third peer can vouch for."""
        return KnownPeer(self.address, tls=bool(self.flags & BTLS))


@dataclass(frozen=True, slots=True)
class PexMessage:
    """Who came and who went since the sender's last message."""

    added: tuple[PexPeer, ...] = ()
    dropped: tuple[Address, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.dropped)


def encode(message: PexMessage) -> bytes:
    """The payload; names are left out, as is every key without peers but `added` and `added.f`."""
    fields: dict[bytes, Encodable] = {b"added": b"", b"added.f": b""}
    for suffix, size in _FAMILIES:
        added = [peer for peer in message.added if len(compact.pack(peer.address)) == size]
        dropped = b"".join(entry for peer in message.dropped if len(entry := compact.pack(peer)) == size)
        if added:
            fields[b"added" + suffix] = b"".join(compact.pack(peer.address) for peer in added)
            fields[b"added" + suffix + b".f"] = bytes(peer.flags for peer in added)
        if dropped:
            fields[b"dropped" + suffix] = dropped
    return bencode.encode(fields)


def decode(payload: bytes) -> PexMessage:
    """Read a payload: at most 200 of its peers, without those that nobody can dial.

    Flags of a length that does not fit their peers say nothing. Raises RemoteProtocolError.
    """
    if len(payload) > MAX_MESSAGE_BYTES:
        raise RemoteProtocolError(f"ut_pex message of {len(payload)} bytes")
    try:
        fields = bencode.decode(payload, source="ut_pex message")
    except InputError as error:
        raise RemoteProtocolError(str(error)) from error
    if not isinstance(fields, dict):
        raise RemoteProtocolError("ut_pex message is not a dictionary")
    added: dict[Address, PexPeer] = {}
    dropped: dict[Address, None] = {}
    for suffix, size in _FAMILIES:
        for peer in _added(fields, suffix, size):
            added.setdefault(peer.address, peer)
        addresses = compact.entries(_bytes(fields, b"dropped" + suffix), size)
        dropped.update(dict.fromkeys(address for address in addresses if address))
    return PexMessage(tuple(added.values())[:MAX_TAKEN], tuple(dropped)[:MAX_TAKEN])


def _added(fields: Mapping[bytes, Value], suffix: bytes, size: int) -> list[PexPeer]:
    addresses = compact.entries(_bytes(fields, b"added" + suffix), size)
    flags = _bytes(fields, b"added" + suffix + b".f")
    if len(flags) != len(addresses):
        flags = bytes(len(addresses))
    return [
        PexPeer(address, flag)
        for address, flag in zip(addresses, flags, strict=True)
        if address and dialable(address)
    ]


def _bytes(fields: Mapping[bytes, Value], key: bytes) -> bytes:
    value = fields.get(key, b"")
    if not isinstance(value, bytes):
        raise RemoteProtocolError(f"ut_pex message: {key.decode()} is not a string")
    return value


def dialable(address: Address) -> bool:
    """Whether an address from a stranger is one that a peer can have at all."""
    ip = ipaddress.ip_address(address.host)
    return not (ip.is_unspecified or ip.is_multicast or ip.is_reserved or str(ip) == "255.255.255.255")


class PexDiary:
    """What one peer has been told, and when; and when it last told something. Times in ns of a steady clock."""

    def __init__(self) -> None:
        self._told: dict[Address, int] = {}
        self._sent_ns: int | None = None
        self._heard_ns: int | None = None

    def next(self, now_ns: int, peers: Iterable[PexPeer], *, to: Address) -> PexMessage | None:
        """The message that is due, if any: what changed in `peers`, without the one it goes `to`."""
        if self._sent_ns is not None and now_ns - self._sent_ns < INTERVAL_NS:
            return None
        current = {peer.address: peer.flags for peer in peers if peer.address != to}
        added = [PexPeer(a, flags) for a, flags in current.items() if self._told.get(a) != flags][:MAX_PEERS]
        dropped = [address for address in self._told if address not in current][:MAX_PEERS]
        message = PexMessage(tuple(added), tuple(dropped))
        if not message:
            return None
        self._told |= {peer.address: peer.flags for peer in added}
        for address in dropped:
            del self._told[address]
        self._sent_ns = now_ns
        return message

    def take(self, now_ns: int, payload: bytes) -> PexMessage:
        """The peer's message; an empty one if it speaks too often. Raises RemoteProtocolError."""
        message = decode(payload)
        if self._heard_ns is not None and now_ns - self._heard_ns < MIN_INTERVAL_NS:
            return replace(message, added=(), dropped=())
        self._heard_ns = now_ns
        return message
