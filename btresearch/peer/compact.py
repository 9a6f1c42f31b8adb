"""Compact peer lists: 6 bytes an IPv4 peer (BEP 23), 18 an IPv6 peer (BEP 7)."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

from btresearch.peer.errors import RemoteProtocolError

IPV4_BYTES, IPV6_BYTES = 6, 18


class PeerAddress(NamedTuple):
    """Where a peer listens: a literal IP address (or a name, from trackers that give one) and a port."""

    host: str
    port: int


def encode_ipv4(peers: Iterable[PeerAddress]) -> bytes:
    """The IPv4 peers among `peers`."""
    return _encode(peers, IPv4Address)


def encode_ipv6(peers: Iterable[PeerAddress]) -> bytes:
    """The IPv6 peers among `peers`."""
    return _encode(peers, IPv6Address)


def decode_ipv4(data: bytes) -> list[PeerAddress]:
    """Read `peers`; port 0 is left out. Raises RemoteProtocolError for a length that is no multiple of 6."""
    return _decode(data, IPV4_BYTES)


def decode_ipv6(data: bytes) -> list[PeerAddress]:
    """Read `peers6`; port 0 is left out. Raises RemoteProtocolError for a length that is no multiple of 18."""
    return _decode(data, IPV6_BYTES)


def _encode(peers: Iterable[PeerAddress], family: type[IPv4Address | IPv6Address]) -> bytes:
    parts = []
    for peer in peers:
        address = _literal(peer.host)
        if isinstance(address, family):
            parts.append(address.packed + peer.port.to_bytes(2, "big"))
    return b"".join(parts)


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _decode(data: bytes, size: int) -> list[PeerAddress]:
    if len(data) % size:
        raise RemoteProtocolError(f"compact peers of {len(data)} bytes, not a multiple of {size}")
    entries = (data[at : at + size] for at in range(0, len(data), size))
    peers = (PeerAddress(str(ip_address(entry[:-2])), int.from_bytes(entry[-2:], "big")) for entry in entries)
    return [peer for peer in peers if peer.port]
