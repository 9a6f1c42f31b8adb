"""Packets from recorded socket reads and writes, where packets can't be captured.

What such a capture can't show: loss, retransmission and reordering (there is none); a real round-trip time
(`ONE_WAY_NS` stands in), queueing and congestion control (segments of a write leave back to back); how the
kernel would have joined or split writes (each record is cut at the MSS by itself); window updates, SACK blocks
and keep-alives; and the peer's pace, since a record has the time of the socket call and not of the wire.
Evidence therefore never mixes packetised with wire captures.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal, NamedTuple

from btresearch.capture.key import LINKTYPE_ETHERNET
from btresearch.capture.packet import Packet
from btresearch.capture.template import IP_BYTES, TCP_BYTES, UDP_BYTES, Template, initial_sequence
from btresearch.errors import BtresearchError

Direction = Literal["c2s", "s2c"]

MTU_BYTES = 1500
ONE_WAY_NS = 50_000
"""Time a packet takes to the other side: that of a local network."""
SEGMENT_NS = 12_112
"""Between two segments of one write: 1514 bytes at 1 Gbit/s."""
DELAYED_ACK_NS = 40_000_000
"""How long a lone segment waits for its acknowledgement (Linux TCP_DELACK_MIN; RFC 9293 3.8.6.3 allows 500 ms)."""
ACK_EVERY = 2
"""Full segments that one acknowledgement covers (RFC 9293 section 3.8.6.3)."""

FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10
_OTHER: dict[Direction, Direction] = {"c2s": "s2c", "s2c": "c2s"}
_MASK = 0xFFFF_FFFF


class Record(NamedTuple):
    """One socket write (or the read of what the other side wrote): when, which way, which bytes."""

    t_ns: int
    direction: Direction
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """What one connection (or pair of UDP endpoints) carried; `src` is its initiator.

    `records` are in time order. `opened_ns` is the time of the connect call, `closed_ns` of the first close
    (None: still open at the end), which `closed_by` made; `aborted` ends it with RST.
    """

    proto: Literal["tcp", "udp"]
    src: str
    sport: int
    dst: str
    dport: int
    records: Sequence[Record]
    opened_ns: int
    closed_ns: int | None = None
    closed_by: Direction = "c2s"
    aborted: bool = False


def packetise(conversations: Iterable[Conversation], *, mtu_bytes: int = MTU_BYTES) -> Iterator[Packet]:
    """Yield the Ethernet packets of all conversations, in time order.

    TCP gets its handshake, segments cut at the MSS with PSH on a record's last, acknowledgements for every
    second segment or after 40 ms, and FIN or RST; UDP one datagram a record. Same records, same packets.

    Raises `BtresearchError` for a datagram above the MTU, or endpoints of mixed IP versions.
    """
    return heapq.merge(*(_packets(one, mtu_bytes) for one in conversations), key=lambda packet: packet.t_ns)


def _packets(conversation: Conversation, mtu_bytes: int) -> Iterator[Packet]:
    versions = {ip_address(conversation.src).version, ip_address(conversation.dst).version}
    if len(versions) != 1:
        raise BtresearchError(f"{conversation.src} and {conversation.dst} are of different IP versions")
    room = mtu_bytes - IP_BYTES[versions.pop()]
    if conversation.proto == "udp":
        return _datagrams(conversation, room - UDP_BYTES)
    return _Connection(conversation, room - TCP_BYTES).packets()


def _templates(conversation: Conversation) -> dict[Direction, Template]:
    there = (conversation.src, conversation.sport, conversation.dst, conversation.dport)
    back = there[2:] + there[:2]
    return {"c2s": Template(conversation.proto, *there), "s2c": Template(conversation.proto, *back)}


def _datagrams(conversation: Conversation, room: int) -> Iterator[Packet]:
    templates, clock_ns = _templates(conversation), 0
    for t_ns, direction, data in conversation.records:
        if len(data) > room:
            raise BtresearchError(f"a datagram of {len(data)} bytes doesn't fit the MTU ({room})")
        clock_ns = max(t_ns, clock_ns + 1)
        frame = templates[direction].datagram(data)
        yield Packet(clock_ns, frame, len(frame), LINKTYPE_ETHERNET)


class _Connection:
    """Both ends of one TCP connection; every method that sends yields the packets in their order."""

    def __init__(self, conversation: Conversation, segment_bytes: int) -> None:
        self._conversation, self._segment_bytes = conversation, segment_bytes
        self._templates = _templates(conversation)
        there = (conversation.src, conversation.sport, conversation.dst, conversation.dport)
        self._seq: dict[Direction, int] = {
            "c2s": initial_sequence("tcp", *there),
            "s2c": initial_sequence("tcp", *there[2:], *there[:2]),
        }
        self._heard_ms: dict[Direction, int] = {"c2s": 0, "s2c": 0}  # the timestamp that each side echoes
        self._unacked: dict[Direction, int] = {"c2s": 0, "s2c": 0}  # segments that await an acknowledgement
        self._clock_ns = 0

    def packets(self) -> Iterator[Packet]:
        """Yield the whole connection."""
        conversation = self._conversation
        yield from self._opening()
        for record in conversation.records:
            if record.data:
                yield from self._overdue(record.t_ns)
                yield from self._write(record)
        end_ns = conversation.closed_ns
        yield from self._overdue(self._clock_ns + DELAYED_ACK_NS if end_ns is None else end_ns)
        if end_ns is not None:
            yield from self._closing(end_ns)

    def _opening(self) -> Iterator[Packet]:
        t_ns, mss_bytes = self._conversation.opened_ns, self._segment_bytes + TCP_BYTES - 20
        client, server = self._templates["c2s"], self._templates["s2c"]
        client_seq, server_seq = self._seq["c2s"], self._seq["s2c"]
        self._seq = {"c2s": (client_seq + 1) & _MASK, "s2c": (server_seq + 1) & _MASK}
        first_ms, answer_ms = _ms(t_ns), _ms(t_ns + ONE_WAY_NS)
        self._heard_ms = {"s2c": first_ms, "c2s": answer_ms}
        yield self._packet(t_ns, client.syn((client_seq, 0), "S", (first_ms, 0), mss_bytes))
        answer = server.syn((server_seq, self._seq["c2s"]), "SA", (answer_ms, first_ms), mss_bytes)
        yield self._packet(t_ns + 2 * ONE_WAY_NS, answer)
        yield self._segment("c2s", self._clock_ns + 1000, ACK)

    def _write(self, record: Record) -> Iterator[Packet]:
        data, size = record.data, self._segment_bytes
        direction, t_ns = record.direction, record.t_ns
        for start in range(0, len(data), size):
            last = start + size >= len(data)
            t_ns = max(t_ns, self._clock_ns + 1000)
            yield self._segment(direction, t_ns, ACK | PSH if last else ACK, data[start : start + size])
            t_ns += SEGMENT_NS
            if self._unacked[direction] >= ACK_EVERY:
                yield self._segment(_OTHER[direction], self._clock_ns + 1000, ACK)

    def _overdue(self, until_ns: int) -> Iterator[Packet]:
        """Acknowledge what nothing else acknowledged within the delay, if that ends before `until_ns`."""
        due_ns = self._clock_ns + DELAYED_ACK_NS
        for direction in ("c2s", "s2c"):
            if self._unacked[direction] and due_ns <= until_ns:
                yield self._segment(_OTHER[direction], due_ns, ACK)

    def _closing(self, t_ns: int) -> Iterator[Packet]:
        closer = self._conversation.closed_by
        if self._conversation.aborted:
            yield self._segment(closer, t_ns, RST | ACK)
            return
        yield self._segment(closer, t_ns, FIN | ACK)
        yield self._segment(_OTHER[closer], self._clock_ns + 2 * ONE_WAY_NS, FIN | ACK)
        yield self._segment(closer, self._clock_ns + 1000, ACK)

    def _segment(self, direction: Direction, t_ns: int, flags: int, payload: bytes = b"") -> Packet:
        other = _OTHER[direction]
        t_ns = max(t_ns, self._clock_ns + 1000)
        seq, now_ms = self._seq[direction], _ms(t_ns)
        times_ms = (now_ms, self._heard_ms[direction])
        frame = self._templates[direction].segment((seq, self._seq[other]), flags, times_ms, payload)
        self._seq[direction] = (seq + len(payload) + bool(flags & FIN)) & _MASK
        self._heard_ms[other] = now_ms
        self._unacked[other] = 0
        self._unacked[direction] += bool(payload)
        return self._packet(t_ns, frame)

    def _packet(self, t_ns: int, frame: bytes) -> Packet:
        self._clock_ns = t_ns
        return Packet(t_ns, frame, len(frame), LINKTYPE_ETHERNET)


def _ms(t_ns: int) -> int:
    """Return the value of the TCP timestamp option: a millisecond clock (RFC 7323 section 5.4)."""
    return t_ns // 1_000_000 & _MASK
