"""What tshark says of a capture's TCP conversations, for comparison."""

from __future__ import annotations

import subprocess
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

FIELDS = (
    "tcp.stream", "ip.src", "ipv6.src", "tcp.srcport", "tcp.dstport", "tcp.len",
    "tls.record.length", "tls.record.content_type", "tls.record.opaque_type",
    "tls.handshake.ja3", "tls.handshake.ja3s",
)  # fmt: skip
OPTIONS = ("tcp.reassemble_out_of_order:TRUE", "ip.defragment:TRUE")


@dataclass
class Stream:
    """One TCP conversation; senders are (address, port)."""

    packets: int = 0
    bytes: Counter[tuple[str, int]] = field(default_factory=Counter)
    records: defaultdict[tuple[str, int], list[int]] = field(default_factory=lambda: defaultdict(list))
    types: Counter[int] = field(default_factory=Counter)
    ja3: set[str] = field(default_factory=set)
    ja3s: set[str] = field(default_factory=set)

    @property
    def ends(self) -> frozenset[tuple[str, int]]:
        return frozenset(self.bytes)


def streams(tshark: str, capture: Path) -> list[Stream]:
    """The capture's TCP conversations in tshark's order, without cut TCP headers and ICMP's quotes of TCP."""
    command = [tshark, "-n", "-r", str(capture), "-Y", "tcp.len && !icmp && !icmpv6", "-T", "fields"]
    command += [part for option in OPTIONS for part in ("-o", option)]
    command += [part for name in FIELDS for part in ("-e", name)]
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    found: dict[str, Stream] = {}
    for line in lines:
        values = dict(zip(FIELDS, line.split("\t"), strict=True))
        stream = found.setdefault(values["tcp.stream"], Stream())
        sender = (values["ip.src"] or values["ipv6.src"], int(values["tcp.srcport"]))
        stream.packets += 1
        stream.bytes[sender] += int(values["tcp.len"])
        stream.records[sender] += _numbers(values["tls.record.length"])
        stream.types.update(_numbers(values["tls.record.content_type"]))
        stream.types.update(_numbers(values["tls.record.opaque_type"]))
        stream.ja3 |= {values["tls.handshake.ja3"]} - {""}
        stream.ja3s |= {values["tls.handshake.ja3s"]} - {""}
    return list(found.values())


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part]
