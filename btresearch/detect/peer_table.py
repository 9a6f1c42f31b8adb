"""Peers learnt from clear text: who talks to an address that the DHT or PEX named is called BitTorrent.

vel21ripn's nDPI for netfilter reads the addresses out of DHT messages, tracker answers and PEX inside uTP, keeps
them for 1200 seconds together with the ends of every flow that it recognised, and names any later flow that has
one of them as its end: encryption does not help against it, an unobserved DHT does. A capture is one table.

Deviations: bencoding is searched for its compact lists, not parsed whole; the hash table's collisions are left
out; a TCP flow is looked up at its first payload packet.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

import numpy as np
import pandas as pd

from btresearch.detect.cells import integer, rows, text, vectors
from btresearch.detect.contract import Verdict, abstain, answers, bittorrent, other
from btresearch.detect.payloads import COLUMNS, PORTS, Payloads
from btresearch.detect.signature import HANDSHAKE

TIMEOUT_NS = 1200 * 10**9
MAX_PEERS = 512 * 1024
PACKETS = 10
NODE_ID_BYTES = 20

# Bencoded key -> bytes before the address in each entry, bytes of the address (BEP 5, 11, 23, 32, 7).
COMPACT = {b"nodes": (NODE_ID_BYTES, 4), b"nodes6": (NODE_ID_BYTES, 16), b"peers": (0, 4), b"peers6": (0, 16),
           b"added": (0, 4), b"added6": (0, 16)}  # fmt: skip
LIST = re.compile(rb"(?:5:(nodes|peers|added)|6:(nodes6|peers6|added6))(\d{1,6}):")
VALUES = re.compile(rb"(?:6:values|7:values6)l((?:6:.{6}|18:.{18})+)", re.DOTALL)
VALUE = re.compile(rb"(?:6:(.{6})|18:(.{18}))", re.DOTALL)
DHT = (b"d1:ad", b"d1:rd", b"d2:ip", b"d1:el")
UTP_SHORT = ((b"\x11\0", 20), (b"\x21\0", 20), (b"\x31\0", 20), (b"\x41\0", 20), (b"\x21\2", 30), (b"\x31\2", 30),
             (b"\x41\2", 30), (b"\x21\1", 26), (b"\x21\1", 23), (b"\x21\2", 33), (b"\x41\2", 33))  # fmt: skip

TRACKER = "tracker answer"

Peer = tuple[str, int]


class Packet(NamedTuple):
    """One payload packet; packets sort by their capture and time."""

    capture: int
    t_ns: int
    row: int
    udp: bool
    payload: bytes
    length: int


@dataclass
class Table:
    """Addresses and when they were last learnt, the oldest first."""

    learnt_ns: dict[Peer, int] = field(default_factory=dict)

    def add(self, peer: Peer, now_ns: int) -> None:
        """Learn a peer; the oldest makes room."""
        self.learnt_ns.pop(peer, None)
        self.learnt_ns[peer] = now_ns
        if len(self.learnt_ns) > MAX_PEERS:
            del self.learnt_ns[next(iter(self.learnt_ns))]

    def knows(self, peer: Peer, now_ns: int) -> bool:
        """Whether the peer was learnt within the time-out."""
        return now_ns - self.learnt_ns.get(peer, -TIMEOUT_NS - 1) <= TIMEOUT_NS


def peers_in(payload: bytes) -> Iterator[Peer]:
    """Every address in the compact lists of a bencoded message."""
    for found in LIST.finditer(payload):
        yield from _compact(payload[found.end() :][: int(found[3])], *COMPACT[found[1] or found[2]])
    for found in VALUES.finditer(payload):
        for v4, v6 in VALUE.findall(found[1]):
            yield _peer(v4 or v6)


def _compact(data: bytes, skip: int, address_bytes: int) -> Iterator[Peer]:
    width = skip + address_bytes + 2
    for at in range(0, len(data) - width + 1, width):
        yield _peer(data[at + skip : at + width])


def _peer(packed: bytes) -> Peer:
    host: IPv4Address | IPv6Address
    host = IPv4Address(packed[:-2]) if len(packed) == 6 else IPv6Address(packed[:-2])
    return str(host), int.from_bytes(packed[-2:], "big")


def recognised(packet: Packet) -> str:
    """Which clear text it is; empty for none."""
    return _udp_kind(packet) if packet.udp else _tcp_kind(packet.payload)


def _tcp_kind(payload: bytes) -> str:
    if payload.startswith(HANDSHAKE):
        return "peer handshake"
    return TRACKER if payload.startswith(b"HTTP/1.") and LIST.search(payload) else ""


def _udp_kind(packet: Packet) -> str:
    if packet.payload.startswith(DHT):
        return "DHT message"
    short = any(packet.length == length and packet.payload.startswith(head) for head, length in UTP_SHORT)
    return "uTP header" if short else ""


@dataclass(frozen=True, kw_only=True)
class PeerTable:
    """Names flows whose end was learnt from clear text of the same capture."""

    name: str = "peer_table"
    version: str = "1"
    cites: tuple[str, ...] = ("vel21ripn/nDPI, branch flow_info-3.2, bittorrent.c and README (bt_hash)",)
    question: int = 3
    sees: tuple[str, ...] = ("capture", "src", "dst", *PORTS, "t_first_ns", "pkt_iat_ns", *COLUMNS)
    needs: str = "the method is a table of addresses with a time-out"
    trained: bool = False

    def __call__(self, flows: pd.DataFrame) -> pd.DataFrame:
        """BitTorrent with what was learnt from where, other, or abstain on a flow without payload."""
        payloads = Payloads.of(flows, PACKETS)
        verdicts = [abstain("no payload")] * len(flows)
        for row in np.flatnonzero(np.bincount(payloads.row, minlength=len(flows))):
            verdicts[row] = other("neither clear BitTorrent nor an end that clear text named")
        for at, verdict in _watch(flows, payloads).items():
            verdicts[at] = verdict
        return answers(flows.index, verdicts)


def _watch(flows: pd.DataFrame, payloads: Payloads) -> dict[int, Verdict]:
    """The packets of each capture in the order of time."""
    ends, tables = _ends(flows), defaultdict[int, Table](Table)
    named: dict[int, Verdict] = {}
    for packet in sorted(_packets(flows, payloads)):
        table, kind = tables[packet.capture], recognised(packet)
        if packet.row not in named and (verdict := _judge(packet, kind, ends[packet.row], table)):
            named[packet.row] = verdict
        if kind:
            _learn(packet, kind, ends[packet.row], table)
    return named


def _judge(packet: Packet, kind: str, ends: tuple[Peer, Peer], table: Table) -> Verdict | None:
    if any(table.knows(end, packet.t_ns) for end in ends):
        return bittorrent("an end of this flow was learnt from clear text that was seen before")
    return bittorrent(f"clear text: {kind}") if kind else None


def _learn(packet: Packet, kind: str, ends: tuple[Peer, Peer], table: Table) -> None:
    """What the message names; and its ends, unless one is a tracker."""
    for peer in (*(() if kind == TRACKER else ends), *peers_in(packet.payload)):
        table.add(peer, packet.t_ns)


def _ends(flows: pd.DataFrame) -> list[tuple[Peer, Peer]]:
    return [
        ((text(src), integer(sport)), (text(dst), integer(dport)))
        for src, sport, dst, dport in rows(flows, ("src", "sport", "dst", "dport"))
    ]


def _packets(flows: pd.DataFrame, payloads: Payloads) -> Iterator[Packet]:
    captures = pd.factorize(pd.Series([text(cell) for cell in flows["capture"]], dtype=object))[0].tolist()
    times = [_payload_times(*cells) for cells in rows(flows, ("t_first_ns", "pkt_iat_ns", "pkt_len"))]
    facts = (payloads.row.tolist(), payloads.k.tolist(), payloads.udp.tolist(), payloads.payload)
    for row, k, udp, payload, length in zip(*facts, payloads.length.tolist(), strict=True):
        t_ns = times[row][k] if k < len(times[row]) else integer(flows["t_first_ns"].iat[row])
        yield Packet(captures[row], t_ns, row, udp, payload, length)


def _payload_times(first_ns: object, iats: object, lengths: object) -> list[int]:
    """Times of the flow's payload packets, in ns."""
    gaps, sizes = vectors(iats, lengths)
    bearing = np.flatnonzero(sizes > 0)[:PACKETS]
    return [int(t_ns) for t_ns in (integer(first_ns) + np.cumsum(gaps))[bearing]]


DETECTOR = PeerTable()
