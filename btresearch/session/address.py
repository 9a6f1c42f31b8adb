"""Peer addresses, and their compact forms: 6 bytes for IPv4 (BEP 23), 18 for IPv6 (BEP 7)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import NamedTuple

IPV4_BYTES = 6
IPV6_BYTES = 18


class Address(NamedTuple):
    """Where a peer listens: an IP literal (or a name, before it is resolved) and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Address:
        """From HOST:PORT or [IPv6]:PORT. Raises ValueError."""
        host, colon, port = text.rpartition(":")
        if not colon or not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise ValueError(f"{text!r}: expected HOST:PORT")
        return cls(host.removeprefix("[").removesuffix("]"), int(port))

    @classmethod
    def of(cls, host: str, port: int) -> Address:
        """With an IPv4-mapped IPv6 address written as IPv4, so that one peer has one name."""
        literal = host.partition("%")[0]
        try:
            ip = ipaddress.ip_address(literal)
        except ValueError:
            return cls(host, port)
        mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
        return cls(str(mapped or ip), port)


def pack(addresses: Iterable[Address]) -> tuple[bytes, bytes]:
    """Compact IPv4 and IPv6 lists; names are left out."""
    lists = {IPV4_BYTES: bytearray(), IPV6_BYTES: bytearray()}
    for address in addresses:
        try:
            packed = ipaddress.ip_address(address.host).packed + address.port.to_bytes(2, "big")
        except ValueError:
            continue
        lists[len(packed)] += packed
    return bytes(lists[IPV4_BYTES]), bytes(lists[IPV6_BYTES])


def unpack(data: bytes, size: int) -> list[Address]:
    """From a compact list of `size`-byte entries; port 0 is left out. Raises ValueError for a torn entry."""
    if len(data) % size:
        raise ValueError(f"compact peer list of {len(data)} bytes, no multiple of {size}")
    entries = (data[i : i + size] for i in range(0, len(data), size))
    pairs = ((ipaddress.ip_address(entry[:-2]), int.from_bytes(entry[-2:], "big")) for entry in entries)
    return [Address.of(str(ip), port) for ip, port in pairs if port]
