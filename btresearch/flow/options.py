"""What a flow table keeps of each flow, and when a flow ends."""

from __future__ import annotations

from dataclasses import dataclass

NS = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class Options:
    """How much of each flow is kept, and after how long without a packet it ends.

    `packets` is the length of the packet lists; `payload_packets` how many payload-bearing ones are kept
    whole (later ones keep 32 bytes); `records` the length of the TLS record lists; `head_bytes` of each
    stream's head; `raw_frames` the number of whole frames; `labels` adds the column `comment`.
    """

    packets: int = 100
    payload_packets: int = 10
    records: int = 2000
    head_bytes: int = 16_384
    raw_frames: int = 32
    labels: bool = False
    tcp_idle_s: float = 300.0
    udp_idle_s: float = 60.0

    def idle_ns(self, proto: str) -> int:
        """The idle timeout of a transport protocol, tcp or udp."""
        return int((self.tcp_idle_s if proto == "tcp" else self.udp_idle_s) * NS)
