"""One flow while its packets arrive: counters, packet lists, both streams, TLS records, TCP facts."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain

from btresearch.capture import Packet
from btresearch.flow.decode import TCP, Segment
from btresearch.flow.options import Options
from btresearch.flow.reassembly import Chunk, Reassembly
from btresearch.flow.tls import RecordParser

FIN, SYN, RST, ACK = 1, 2, 4, 16
MAX_BURSTS = 50
LATER_PAYLOAD_BYTES = 32
Key = tuple[int, bytes, int, bytes, int]
"""Protocol, source, source port, destination, destination port."""


@dataclass(slots=True)
class Way:
    """One direction of a flow."""

    sign: int  # +1 c2s, -1 s2c
    packets: int = 0
    payload_packets: int = 0
    payload_bytes: int = 0
    ip_bytes: int = 0
    header_bytes: int = 0
    first_payload: bytes = b""
    head: bytearray = field(default_factory=bytearray)
    head_open: bool = True
    isn: int = -1  # sequence number of the SYN
    stream: Reassembly = field(default_factory=Reassembly)
    tls: RecordParser = field(default_factory=RecordParser)
    tls_records: int = 0


@dataclass(slots=True)
class Lists:
    """The list columns of one flow, under their column names."""

    pkt_dir: list[int] = field(default_factory=list)
    pkt_len: list[int] = field(default_factory=list)
    pkt_ip_len: list[int] = field(default_factory=list)
    pkt_iat_ns: list[int] = field(default_factory=list)
    pkt_flags: list[int] = field(default_factory=list)
    pkt_payload_offset: list[int] = field(default_factory=list)
    pkt_payload: list[bytes] = field(default_factory=list)
    tls_dir: list[int] = field(default_factory=list)
    tls_type: list[int] = field(default_factory=list)
    tls_len: list[int] = field(default_factory=list)
    tls_t_ns: list[int] = field(default_factory=list)
    burst_dir: list[int] = field(default_factory=list)
    burst_bytes: list[int] = field(default_factory=list)
    burst_packets: list[int] = field(default_factory=list)
    raw_frames: list[bytes] = field(default_factory=list)
    raw_t_ns: list[int] = field(default_factory=list)


class Conversation:
    """A flow that is still open. `key` is the initiator's: its source is the initiator."""

    __slots__ = (
        "_options", "_syn_ack_ns", "_syn_ack_seq", "c2s", "comment", "fin_seen", "flow_id",
        "handshake_seen", "key", "linktype", "lists", "rst_seen", "rtt_ns", "s2c", "syn_seen",
        "t_first_ns", "t_last_ns", "truncated",
    )  # fmt: skip

    def __init__(self, flow_id: int, key: Key, packet: Packet, options: Options) -> None:
        self.flow_id, self.key, self.linktype = flow_id, key, packet.linktype
        self.t_first_ns = self.t_last_ns = packet.t_ns
        self.c2s, self.s2c, self.lists = Way(1), Way(-1), Lists()
        self.syn_seen = self.handshake_seen = self.fin_seen = self.rst_seen = self.truncated = False
        self.rtt_ns = self._syn_ack_ns = self._syn_ack_seq = -1
        self.comment = ""
        self._options = options

    def is_new_connection(self, segment: Segment, way: Way) -> bool:
        """Whether this SYN begins another connection between the same ports.

        It does when its sequence number is new, which a retransmitted SYN's is not (also after an RST:
        refused connections are tried again with the same number); without a SYN to compare it with, after
        a FIN or RST.
        """
        if segment.flags & (SYN | ACK) != SYN or way.isn == segment.seq:
            return False
        return way.isn >= 0 or self.fin_seen or self.rst_seen

    def add(self, segment: Segment, way: Way, packet: Packet) -> None:
        """Take the flow's next packet, which travels `way`."""
        t_ns = packet.t_ns
        way.packets += 1
        way.ip_bytes += segment.ip_bytes
        way.header_bytes += segment.header_bytes
        if len(self.lists.pkt_dir) < self._options.packets:
            self._list(segment, way, t_ns)
        if len(self.lists.raw_frames) < self._options.raw_frames:
            self.lists.raw_frames.append(packet.data)
            self.lists.raw_t_ns.append(t_ns)
        if packet.comment and not self.comment:
            self.comment = packet.comment
        self.t_last_ns = max(self.t_last_ns, t_ns)
        if segment.proto == TCP:
            self._note_flags(segment, way, t_ns)
        if segment.payload_bytes:
            self._payload(segment, way, t_ns)

    def finish(self) -> None:
        """Skip the holes that never filled."""
        for way in (self.c2s, self.s2c):
            self._take_chunks(way.stream.flush(), way)

    def _list(self, segment: Segment, way: Way, t_ns: int) -> None:
        lists, payload = self.lists, segment.payload
        if self.c2s.payload_packets + self.s2c.payload_packets >= self._options.payload_packets:
            payload = payload[:LATER_PAYLOAD_BYTES]
        lists.pkt_dir.append(way.sign)
        lists.pkt_len.append(segment.payload_bytes)
        lists.pkt_ip_len.append(segment.ip_bytes)
        lists.pkt_iat_ns.append(max(t_ns - self.t_last_ns, 0))
        lists.pkt_flags.append(segment.flags)
        lists.pkt_payload_offset.append(segment.offset)
        lists.pkt_payload.append(payload)

    def _note_flags(self, segment: Segment, way: Way, t_ns: int) -> None:
        flags = segment.flags
        if flags & SYN:
            self._note_syn(segment, way, t_ns)
        elif self._syn_ack_ns >= 0 and way is self.c2s and flags & (ACK | RST) == ACK:
            self._note_ack(segment, t_ns)
        if flags & FIN:
            self.fin_seen = True
            way.stream.fin(segment.seq + segment.payload_bytes)
        if flags & RST:
            self.rst_seen = True

    def _note_syn(self, segment: Segment, way: Way, t_ns: int) -> None:
        self.syn_seen = True
        way.isn = segment.seq
        way.stream.syn(segment.seq)
        if segment.flags & ACK and way is self.s2c and self.rtt_ns < 0:
            self._syn_ack_ns, self._syn_ack_seq = t_ns, segment.seq

    def _note_ack(self, segment: Segment, t_ns: int) -> None:
        """Close the handshake, if this acknowledges the SYN-ACK."""
        if (segment.ack - self._syn_ack_seq - 1) & 0xFFFFFFFF < 0x8000_0000:
            self.rtt_ns = max(t_ns - self._syn_ack_ns, 0)
            self.handshake_seen = self.c2s.isn >= 0
            self._syn_ack_ns = -1

    def _payload(self, segment: Segment, way: Way, t_ns: int) -> None:
        size = segment.payload_bytes
        if len(segment.payload) < size:
            self.truncated = True
        if not way.payload_packets:
            way.first_payload = segment.payload
        way.payload_packets += 1
        way.payload_bytes += size
        self._burst(way.sign, size)
        if segment.proto != TCP:
            self._fill_head(way, segment.payload)
        elif (
            not segment.flags & RST
        ):  # an RST may carry a text that is no stream byte, RFC 9293 section 3.5.3
            seq = segment.seq + 1 if segment.flags & SYN else segment.seq  # data on a SYN, RFC 7413
            self._take_chunks(way.stream.segment(seq & 0xFFFFFFFF, segment.payload, size, t_ns), way)

    def _burst(self, sign: int, size: int) -> None:
        lists = self.lists
        if lists.burst_dir and lists.burst_dir[-1] == sign and len(lists.burst_dir) <= MAX_BURSTS:
            lists.burst_bytes[-1] += size
            lists.burst_packets[-1] += 1
        elif len(lists.burst_dir) <= MAX_BURSTS:  # one more marks that the last one is over
            lists.burst_dir.append(sign)
            lists.burst_bytes.append(size)
            lists.burst_packets.append(1)

    def _take_chunks(self, chunks: tuple[Chunk, ...], way: Way) -> None:
        for chunk in chunks:
            if way.head_open:
                self._fill_head(way, chunk.data)
                way.head_open = not chunk.gap_bytes and len(way.head) < self._options.head_bytes
            records = way.tls.feed(chunk.data, chunk.t_ns)
            skipped = way.tls.skip(chunk.gap_bytes, chunk.t_ns) if chunk.gap_bytes else ()
            for record in chain(records, skipped):
                way.tls_records += 1
                if len(self.lists.tls_dir) < self._options.records:
                    self.lists.tls_dir.append(way.sign)
                    self.lists.tls_type.append(record.type)
                    self.lists.tls_len.append(record.length)
                    self.lists.tls_t_ns.append(record.t_ns)

    def _fill_head(self, way: Way, data: bytes) -> None:
        room = self._options.head_bytes - len(way.head)
        if room > 0:
            way.head += data[:room]
