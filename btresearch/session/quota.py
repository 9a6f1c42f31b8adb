"""How much one address may ask of this endpoint, and whose connections count as one's."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict

from btresearch.peer.address import Address

# Proof lookups an address may cause in a minute; past it, the decoy (protocol.md, step 2).
LOOKUPS_PER_MINUTE = 240
MAX_ADDRESSES = 4096


class Quota:
    """Lookups per address (IPv6: per /56) in the present minute."""

    def __init__(self) -> None:
        self._counts: OrderedDict[tuple[str, int], int] = OrderedDict()

    def admit(self, address: Address) -> bool:
        """Count one more; False beyond the limit."""
        key = (network(address.host), int(time.monotonic() // 60))
        self._counts[key] = self._counts.get(key, 0) + 1
        while len(self._counts) > MAX_ADDRESSES:
            self._counts.popitem(last=False)
        return self._counts[key] <= LOOKUPS_PER_MINUTE


def network(host: str) -> str:
    """Whose connections count as one's: an IPv4 address, an IPv6 /56; anything else is itself."""
    if ":" not in host:
        return host
    try:
        return str(ipaddress.IPv6Network(f"{host.partition('%')[0]}/56", strict=False))
    except ValueError:
        return host
