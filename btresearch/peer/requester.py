"""How many requests to keep open at one peer: slow start, then the bandwidth-delay product."""

from __future__ import annotations


class Requester:
    """Pipeline depth of one peer; every call takes the time in ns."""

    def __init__(self, *, now_ns: int, limit: int = 500) -> None: ...

    depth: int

    def sent(self, now_ns: int, count: int = 1) -> None: ...
    def received(self, now_ns: int, length_bytes: int) -> None: ...
    def dropped(self, count: int = 1) -> None: ...
    def room(self) -> int:
        """How many more requests to send now."""

    def rate_bytes_per_s(self, now_ns: int) -> float: ...
    def snubbed(self, now_ns: int) -> bool:
        """Nothing arrived for SNUB_NS though requests are open (BEP 3: a minute)."""
