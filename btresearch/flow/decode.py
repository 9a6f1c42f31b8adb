"""Frames to TCP segments and UDP datagrams, by dpkt; what can't be decoded is counted by kind."""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import dpkt

from btresearch.capture import Packet
from btresearch.flow.fragments import Fragment, Fragments
from btresearch.flow.link import locate

TCP, UDP = dpkt.ip.IP_PROTO_TCP, dpkt.ip.IP_PROTO_UDP
FRAGMENT_HEADER = dpkt.ip.IP_PROTO_FRAGMENT
MAX_EXTENSION_HEADERS = 16  # RFC 8200 section 4.1 expects each at most once, so six
_EXTENSIONS = {k: v for k, v in dpkt.ip6.EXT_HDRS_CLS.items() if k != dpkt.ip.IP_PROTO_ESP}
# dpkt documents UnpackError; its header classes let these through on hostile input as well.
_DPKT_ERRORS = (dpkt.Error, struct.error, IndexError, KeyError, ValueError, TypeError)


@dataclass(slots=True)
class Tally:
    """What a capture held: every packet is in a flow, in `skipped` or in `damage`.

    `skipped` counts packets that are no TCP or UDP over IP, and fragments that wait for others; `damage`
    those that can't be decoded, and what broke off the file.
    """

    packets: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    damage: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Segment:
    """One TCP segment or UDP datagram.

    `payload` is what was captured, `payload_bytes` its length on the wire; `offset` the frame bytes before
    it, or -1 where fragments were joined. `seq`, `ack` and `flags` are 0 for UDP.
    """

    proto: int
    src: bytes
    dst: bytes
    sport: int
    dport: int
    seq: int
    ack: int
    flags: int
    payload: bytes
    payload_bytes: int
    ip_bytes: int
    header_bytes: int
    offset: int


@dataclass(slots=True)
class _Datagram:
    """An IP datagram: where it starts in the frame, its length on the wire, its header's, its upper layer."""

    src: bytes
    dst: bytes
    proto: int
    at: int
    ip_bytes: int
    header_bytes: int
    upper: Any  # a dpkt packet


class _Unusable(Exception):
    """Carries the kind of packet that ends in no segment, and which counter it belongs to."""

    def __init__(self, kind: str, *, damaged: bool) -> None:
        self.kind, self.damaged = kind, damaged


class Decoder:
    """Decodes one capture's packets in their order."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._fragments = Fragments()

    def decode(self, packet: Packet) -> Segment | None:
        """Return the packet's segment; None when it has none, which the tally then counts."""
        self._tally.packets += 1
        try:
            version, at = _located(packet)
            return _segment(self._ipv4(packet, at) if version == 4 else self._ipv6(packet, at))
        except _Unusable as why:
            (self._tally.damage if why.damaged else self._tally.skipped)[why.kind] += 1
        except _DPKT_ERRORS:
            self._tally.damage["headers"] += 1
        return None

    def finish(self) -> None:
        """Count the datagrams whose fragments never all came."""
        lost = self._fragments.finish()
        if lost:
            self._tally.damage["fragments_incomplete"] += lost

    def _ipv4(self, packet: Packet, at: int) -> _Datagram:
        data = packet.data[at:]
        if len(data) < 20 or data[0] >> 4 != 4:
            raise _Unusable("ipv4_header", damaged=True)
        if data[9] not in (TCP, UDP):  # before dpkt, which would decode tunnels inside tunnels without end
            raise _Unusable(f"ip_proto_{data[9]}", damaged=False)
        ip = dpkt.ip.IP(data)
        header, ip_bytes = (data[0] & 15) * 4, self._ip_bytes(ip.len, packet.orig_len - at)
        if ip_bytes < header:
            raise _Unusable("ip_length", damaged=True)
        if data[6] & 0x3F or data[7]:  # more fragments, or an offset
            key = (ip.src, ip.dst, ip.id, ip.p)
            part = Fragment(key, ip.offset * 8, bool(ip.mf), data[header:ip_bytes])
            return self._joined(packet, part, header)
        return _Datagram(ip.src, ip.dst, ip.p, at, ip_bytes, header, ip.data)

    def _ipv6(self, packet: Packet, at: int) -> _Datagram:
        data = packet.data[at:]
        if len(data) < 40 or data[0] >> 4 != 6:
            raise _Unusable("ipv6_header", damaged=True)
        length, proto = struct.unpack_from(">HB", data, 4)
        src, dst, header = data[8:24], data[24:40], 40
        ip_bytes = self._ip_bytes(length and length + 40, packet.orig_len - at)
        data = data[:ip_bytes]
        for _ in range(MAX_EXTENSION_HEADERS):
            if proto not in _EXTENSIONS:
                break
            extension = _EXTENSIONS[proto](data[header:])
            split = proto == FRAGMENT_HEADER and (extension.frag_off or extension.m_flag)
            proto, header = extension.nxt, header + extension.length
            if split:
                key = (src, dst, extension.id, proto)
                part = Fragment(key, extension.frag_off * 8, bool(extension.m_flag), data[header:])
                return self._joined(packet, part, header)
        return _Datagram(src, dst, proto, at, ip_bytes, header, _upper(proto, data[header:]))

    def _ip_bytes(self, claimed: int, room: int) -> int:
        """The datagram's length: at most what the frame had on the wire; claimed 0 is segmentation offload."""
        if claimed > room:
            self._tally.damage["ip_length_beyond_frame"] += 1
            return room
        return claimed or room

    def _joined(self, packet: Packet, fragment: Fragment, header: int) -> _Datagram:
        if len(packet.data) < packet.orig_len:
            raise _Unusable("fragment_cut", damaged=True)
        data = self._fragments.add(fragment, packet.t_ns)
        if data is None:
            raise _Unusable("ip_fragment", damaged=False)
        src, dst, _, proto = fragment.key
        return _Datagram(src, dst, proto, -1, header + len(data), header, _upper(proto, data))


def _located(packet: Packet) -> tuple[int, int]:
    found = locate(packet.linktype, packet.data)
    if isinstance(found, str):
        damaged = found == "short"
        raise _Unusable("frame_short" if damaged else found, damaged=damaged)
    return found


def _upper(proto: int, data: bytes) -> Any:
    if proto not in (TCP, UDP):
        raise _Unusable(f"ip_proto_{proto}", damaged=False)
    return dpkt.tcp.TCP(data) if proto == TCP else dpkt.udp.UDP(data)


def _segment(datagram: _Datagram) -> Segment:
    upper, room = datagram.upper, datagram.ip_bytes - datagram.header_bytes
    name = "tcp" if datagram.proto == TCP else "udp"
    if isinstance(upper, bytes):  # dpkt.ip leaves what it can't decode
        raise _Unusable(f"{name}_header", damaged=True)
    if datagram.proto == TCP:
        header, fields = upper.off * 4, (upper.seq, upper.ack, upper.flags & 0xFF)
        size = room - header
    else:
        header, fields = 8, (0, 0, 0)
        size = (upper.ulen or room) - header  # 0: a jumbogram, or the card was to segment it
    if not 0 <= size <= room - header:
        raise _Unusable(f"{name}_length", damaged=True)
    before = datagram.header_bytes + header
    return Segment(
        datagram.proto, datagram.src, datagram.dst, upper.sport, upper.dport, *fields,
        upper.data[:size], size, datagram.ip_bytes, before, datagram.at + before if datagram.at >= 0 else -1,
    )  # fmt: skip
