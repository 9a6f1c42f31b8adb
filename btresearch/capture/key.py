"""The 5-tuple of a raw frame, read with as little work as a per-packet lookup allows."""

from __future__ import annotations

import struct
from ipaddress import ip_address
from typing import NamedTuple

LINKTYPE_NULL, LINKTYPE_ETHERNET, LINKTYPE_RAW, LINKTYPE_SLL, LINKTYPE_SLL2 = 0, 1, 101, 113, 276
PROTOCOL_NUMBERS = {"tcp": 6, "udp": 17}  # IANA protocol numbers

_TAGS = (b"\x81\x00", b"\x88\xa8", b"\x91\x00")  # IEEE 802.1Q, 802.1ad and the older QinQ
_IP_TYPES = (b"\x08\x00", b"\x86\xdd")
_IP_OFFSET = {LINKTYPE_NULL: 4, LINKTYPE_RAW: 0, LINKTYPE_SLL: 16, LINKTYPE_SLL2: 20}
MAX_TAGS = 4


class Key(NamedTuple):
    """Who sent a packet to whom; addresses and ports as the bytes on the wire."""

    protocol: int
    addresses: bytes
    ports: bytes


def key_of(data: bytes, linktype: int) -> Key | None:
    """Return the key of a TCP or UDP packet; None for others, later fragments and IPv6 extension headers."""
    offset = _ethernet_payload(data) if linktype == LINKTYPE_ETHERNET else _IP_OFFSET.get(linktype, len(data))
    if len(data) < offset + 20:
        return None
    version = data[offset] >> 4
    if version == 4:
        if data[offset + 6] & 0x1F or data[offset + 7]:
            return None
        start, protocol = offset + (data[offset] & 15) * 4, data[offset + 9]
        addresses = data[offset + 12 : offset + 20]
    elif version == 6 and len(data) >= offset + 40:
        start, protocol = offset + 40, data[offset + 6]
        addresses = data[offset + 8 : offset + 40]
    else:
        return None
    if protocol not in (6, 17) or len(data) < start + 4:
        return None
    return Key(protocol, addresses, data[start : start + 4])


def key_between(proto: str, src: str, sport: int, dst: str, dport: int) -> Key:
    """Return the key of packets from `src` to `dst` (addresses as text)."""
    addresses = ip_address(src).packed + ip_address(dst).packed
    return Key(PROTOCOL_NUMBERS[proto], addresses, struct.pack(">HH", sport, dport))


def reverse(key: Key) -> Key:
    """Return the key of the opposite direction."""
    half = len(key.addresses) // 2
    addresses = key.addresses[half:] + key.addresses[:half]
    return Key(key.protocol, addresses, key.ports[2:] + key.ports[:2])


def _ethernet_payload(data: bytes) -> int:
    """Return the offset of the IP header behind any VLAN tags, or the frame's end where there is none."""
    kind, offset = data[12:14], 14
    for _ in range(MAX_TAGS):
        if kind not in _TAGS:
            break
        kind, offset = data[offset + 2 : offset + 4], offset + 4
    return offset if kind in _IP_TYPES else len(data)
