"""Compact peer lists: 6 bytes an IPv4 peer (BEP 23), 18 an IPv6 peer (BEP 7)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from btresearch.peer.address import Address
from btresearch.peer.errors import RemoteProtocolError

IPV4_BYTES, IPV6_BYTES = 6, 18


def encode(peers: Iterable[Address]) -> tuple[bytes, bytes]:
    """The values of `peers` (IPv4) and `peers6`; names are left out."""
    lists = {IPV4_BYTES: bytearray(), IPV6_BYTES: bytearray()}
    for peer in peers:
        try:
            packed = ipaddress.ip_address(peer.host).packed + peer.port.to_bytes(2, "big")
        except ValueError:
            continue
        lists[len(packed)] += packed
    return bytes(lists[IPV4_BYTES]), bytes(lists[IPV6_BYTES])


def decode_ipv4(data: bytes) -> list[Address]:
    """Read `peers`; port 0 is left out. Raises RemoteProtocolError for a length that is no multiple of 6."""
    return _decode(data, IPV4_BYTES)


def decode_ipv6(data: bytes) -> list[Address]:
    """Read `peers6`; port 0 is left out. Raises RemoteProtocolError for a length that is no multiple of 18."""
    return _decode(data, IPV6_BYTES)


def _decode(data: bytes, size: int) -> list[Address]:
    if len(data) % size:
        raise RemoteProtocolError(f"compact peers of {len(data)} bytes, not a multiple of {size}")
    entries = (data[at : at + size] for at in range(0, len(data), size))
    pairs = ((ipaddress.ip_address(entry[:-2]), int.from_bytes(entry[-2:], "big")) for entry in entries)
    return [Address.of(str(ip), port) for ip, port in pairs if port]
