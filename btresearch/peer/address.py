"""Where a peer listens, in text and as one name per peer."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple


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
