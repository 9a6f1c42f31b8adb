"""Assigns segments to flows: who initiated, when a new connection begins, when an idle flow ends."""

from __future__ import annotations

from collections.abc import Iterator

from btresearch.capture import Packet
from btresearch.flow.conversation import ACK, SYN, Conversation, Key, Way
from btresearch.flow.decode import TCP, UDP, Segment
from btresearch.flow.options import NS, Options

SWEEP_NS = 10 * NS  # capture time between two searches for idle flows
MAX_OPEN_FLOWS = 1 << 20  # about 4 GB of flow state; beyond it the oldest flow ends


class Tracker:
    """The open flows of one capture; flows that end are handed out by `add` and `finish`."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._idle_ns = {TCP: options.idle_ns("tcp"), UDP: options.idle_ns("udp")}
        self._open: dict[Key, tuple[Conversation, Way]] = {}  # each flow under both its directions' keys
        self._count = 0
        self._sweep_at_ns = 0

    def add(self, segment: Segment, packet: Packet) -> list[Conversation]:
        """Put a segment into its flow; return the flows that this ends."""
        ended: list[Conversation] = []
        key = (segment.proto, segment.src, segment.sport, segment.dst, segment.dport)
        flow, way = self._open.get(key, (None, None))
        if flow is not None and way is not None and self._is_over(flow, way, segment, packet.t_ns):
            ended.append(self._close(flow))
            flow = None
        if flow is None or way is None:
            flow, way = self._start(key, segment, packet, ended)
        flow.add(segment, way, packet)
        if packet.t_ns >= self._sweep_at_ns:
            ended += self._sweep(packet.t_ns)
        return ended

    def finish(self) -> Iterator[Conversation]:
        """End every flow."""
        while self._open:
            yield self._close(next(iter(self._open.values()))[0])

    def _is_over(self, flow: Conversation, way: Way, segment: Segment, t_ns: int) -> bool:
        # time 0 is a packet without a time stamp, as some tools write for a capture's first packet
        idle = 0 < flow.t_last_ns < t_ns - self._idle_ns[segment.proto]
        return idle or (segment.proto == TCP and flow.is_new_connection(segment, way))

    def _start(
        self, key: Key, segment: Segment, packet: Packet, ended: list[Conversation]
    ) -> tuple[Conversation, Way]:
        if len(self._open) >= 2 * MAX_OPEN_FLOWS:
            ended.append(self._close(next(iter(self._open.values()))[0]))
        proto, src, sport, dst, dport = key
        reverse = (proto, dst, dport, src, sport)
        from_responder = proto == TCP and segment.flags & (SYN | ACK) == SYN | ACK
        flow = Conversation(self._count, reverse if from_responder else key, packet, self._options)
        self._count += 1
        way, back = (flow.s2c, flow.c2s) if from_responder else (flow.c2s, flow.s2c)
        self._open[reverse] = flow, back
        self._open[key] = flow, way  # last: where both keys are equal, the packet is the initiator's
        return flow, way

    def _close(self, flow: Conversation) -> Conversation:
        proto, src, sport, dst, dport = flow.key
        del self._open[flow.key]
        self._open.pop((proto, dst, dport, src, sport), None)
        flow.finish()
        return flow

    def _sweep(self, t_ns: int) -> list[Conversation]:
        self._sweep_at_ns = t_ns + SWEEP_NS
        idle = {
            id(flow): flow
            for flow, _ in self._open.values()
            if 0 < flow.t_last_ns < t_ns - self._idle_ns[flow.key[0]]
        }
        return [self._close(flow) for flow in idle.values()]
