"""Compact peer lists: 6 bytes an IPv4 peer (BEP 23), 18 an IPv6 peer (BEP 7)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from btresearch.peer.address import Address
from btresearch.peer.errors import RemoteProtocolError

IPV4_BYTES, IPV6_BYTES = 6, 18


def pack(peer: Address) -> bytes:
    """The 6 or 18 bytes of one peer; none for a name."""
    try:
        return ipaddress.ip_address(peer.host).packed + peer.port.to_bytes(2, "big")
    except ValueError:
        return b""


def encode(peers: Iterable[Address]) -> tuple[bytes, bytes]:
    """The values of `peers` (IPv4) and `peers6`; names are left out."""
    packed = [pack(peer) for peer in peers]
    four, six = (b"".join(entry for entry in packed if len(entry) == n) for n in (IPV4_BYTES, IPV6_BYTES))
    return four, six


def entries(data: bytes, size: int) -> list[Address | None]:
    """One item for every `size` bytes, None for port 0, so that a list beside this one keeps its places.

    Raises RemoteProtocolError for a length that is no multiple of `size`.
    """
    if len(data) % size:
        raise RemoteProtocolError(f"compact peers of {len(data)} bytes, not a multiple of {size}")
    return [_entry(data[at : at + size]) for at in range(0, len(data), size)]


def decode_ipv4(data: bytes) -> list[Address]:
    """Read `peers`; port 0 is left out. Raises RemoteProtocolError for a length that is no multiple of 6."""
    return [peer for peer in entries(data, IPV4_BYTES) if peer]


def decode_ipv6(data: bytes) -> list[Address]:
    """Read `peers6`; port 0 is left out. Raises RemoteProtocolError for a length that is no multiple of 18."""
    return [peer for peer in entries(data, IPV6_BYTES) if peer]


def _entry(packed: bytes) -> Address | None:
    port = int.from_bytes(packed[-2:], "big")
    return Address.of(str(ipaddress.ip_address(packed[:-2])), port) if port else None
