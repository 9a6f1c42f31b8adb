"""Frames of every link layer and oddity to segments; what can't be decoded is counted by kind."""

from __future__ import annotations

import struct

import pytest
from scapy.contrib.mpls import MPLS
from scapy.layers.inet import IP, TCP, UDP, fragment
from scapy.layers.inet6 import (
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    PadN,
    fragment6,
)
from scapy.layers.l2 import ARP, LLC, SNAP, CookedLinux, CookedLinuxV2, Dot1AD, Dot1Q, Dot3, Ether
from scapy.layers.ppp import HDLC, PPP, PPPoE
from scapy.packet import Packet as Layer
from scapy.packet import Raw

from btresearch.capture import Packet
from btresearch.flow.decode import Decoder, Segment, Tally
from tests.flow.wire import C2S, over_ipv6, tcp, udp

PAYLOAD = b"\x13BitTorrent protocol"
FOUR = tcp(C2S, "PA", 7, 9, PAYLOAD)
SIX = over_ipv6(FOUR)
ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")


def packet(frame: bytes | Layer, linktype: int = 1, *, orig_len: int | None = None) -> Packet:
    data = bytes(frame)
    return Packet(0, data, len(data) if orig_len is None else orig_len, linktype)


def decoded(*packets: Packet) -> tuple[list[Segment], Tally]:
    tally = Tally()
    decoder = Decoder(tally)
    segments = [segment for segment in map(decoder.decode, packets) if segment]
    decoder.finish()
    return segments, tally


LINKS = {
    "ethernet": (1, ETHER / FOUR, 14),
    "ethernet, IPv6": (1, ETHER / SIX, 14),
    "VLAN": (1, ETHER / Dot1Q(vlan=5) / FOUR, 18),
    "QinQ": (1, ETHER / Dot1AD(vlan=5) / Dot1Q(vlan=6) / FOUR, 22),
    "three tags": (1, ETHER / Dot1AD(vlan=5) / Dot1Q(vlan=6) / Dot1Q(vlan=7) / SIX, 26),
    "MPLS": (1, ETHER / MPLS(label=1, s=0) / MPLS(label=2, s=1) / FOUR, 22),
    "PPPoE": (1, ETHER / PPPoE() / PPP() / FOUR, 22),
    "SNAP": (1, Dot3() / LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(OUI=0, code=0x800) / FOUR, 22),
    "null, little-endian": (0, struct.pack("<I", 2) + bytes(FOUR), 4),
    "null, big-endian": (0, struct.pack(">I", 2) + bytes(FOUR), 4),
    "null, Darwin's IPv6": (0, struct.pack("<I", 30) + bytes(SIX), 4),
    "loop": (108, struct.pack(">I", 24) + bytes(SIX), 4),
    "raw": (101, FOUR, 0),
    "raw, IPv6": (101, SIX, 0),
    "raw, BSD": (12, FOUR, 0),
    "raw, OpenBSD": (14, SIX, 0),
    "IPv4": (228, FOUR, 0),
    "IPv6": (229, SIX, 0),
    "PPP": (9, PPP() / FOUR, 2),
    "PPP in HDLC": (50, HDLC() / PPP() / FOUR, 4),
    "cooked": (113, CookedLinux(proto=0x800) / FOUR, 16),
    "cooked v2": (276, CookedLinuxV2(proto=0x86DD) / SIX, 20),
    "Cisco HDLC": (104, b"\x0f\x00\x08\x00" + bytes(FOUR), 4),
}


@pytest.mark.parametrize("name", LINKS)
def test_link_layers(name: str) -> None:
    linktype, frame, offset = LINKS[name]
    (segment,), tally = decoded(packet(frame, linktype))
    header = (40 if len(segment.src) == 16 else 20) + 20
    assert segment.payload == PAYLOAD
    assert bytes(frame)[segment.offset :] == PAYLOAD
    assert (segment.offset, segment.header_bytes) == (offset + header, header)
    assert (segment.sport, segment.dport, segment.seq, segment.ack, segment.flags) == (40000, 443, 7, 9, 0x18)
    assert (tally.packets, dict(tally.skipped), dict(tally.damage)) == (1, {}, {})


def test_ethernet_padding_is_no_payload() -> None:
    frame = bytes(ETHER / tcp(C2S, "A", 1, 1)).ljust(60, b"\xee")
    (segment,), _ = decoded(packet(frame))
    assert (segment.payload, segment.payload_bytes, segment.ip_bytes) == (b"", 0, 40)


def test_zero_ip_length_is_segmentation_offload() -> None:
    ip = IP(src="10.0.0.1", dst="10.0.0.2", len=0) / TCP(sport=1, dport=2) / Raw(bytes(70_000))
    (segment,), _ = decoded(packet(ETHER / ip))
    assert (segment.payload_bytes, segment.ip_bytes, len(segment.payload)) == (70_000, 70_040, 70_000)


def test_zero_ipv6_length_is_segmentation_offload() -> None:
    six = over_ipv6(tcp(C2S, "A", 1, 1, bytes(3000)))
    six.plen = 0
    (segment,), _ = decoded(packet(ETHER / six))
    assert (segment.payload_bytes, segment.ip_bytes) == (3000, 3060)


def test_a_snap_length_cut_keeps_the_length_on_the_wire() -> None:
    frame = bytes(ETHER / tcp(C2S, "PA", 1, 1, bytes(1000)))
    (segment,), _ = decoded(packet(frame[:100], orig_len=len(frame)))
    assert (segment.payload_bytes, len(segment.payload), segment.ip_bytes) == (1000, 100 - 54, 1040)


def test_an_ip_length_beyond_the_frame_is_clamped_and_counted() -> None:
    ip = IP(src="10.0.0.1", dst="10.0.0.2", len=30_000) / TCP() / Raw(b"abc")
    (segment,), tally = decoded(packet(ETHER / ip))
    assert (segment.payload, segment.payload_bytes, segment.ip_bytes) == (b"abc", 3, 43)
    assert tally.damage == {"ip_length_beyond_frame": 1}


def test_ip_and_tcp_options_are_headers() -> None:
    ip = (
        IP(src="10.0.0.1", dst="10.0.0.2", options=b"\x01" * 8)
        / TCP(options=[("NOP", None)] * 8)
        / Raw(b"abc")
    )
    (segment,), _ = decoded(packet(ETHER / ip))
    assert (segment.payload, segment.header_bytes, segment.offset) == (b"abc", 56, 70)


def test_ipv6_extension_headers_are_passed() -> None:
    headers = (
        IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\0" * 4)]),
        IPv6ExtHdrRouting(addresses=["2001:db8::9"]),
        IPv6ExtHdrFragment(),  # an atomic fragment, RFC 6946
        IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 4)]),
    )
    (segment,), tally = decoded(packet(ETHER / over_ipv6(FOUR, *headers)))
    assert (segment.payload, segment.header_bytes) == (PAYLOAD, 40 + 8 + 24 + 8 + 8 + 20)
    assert not tally.damage


def test_udp_length_bounds_the_payload() -> None:
    (segment,), _ = decoded(packet(bytes(ETHER / udp(C2S, b"abc")) + b"trailer"))
    assert (segment.proto, segment.payload, segment.payload_bytes, segment.flags) == (17, b"abc", 3, 0)


@pytest.mark.parametrize("order", [1, -1])
def test_ipv4_fragments_are_joined(order: int) -> None:
    parts = fragment(udp(C2S, bytes(range(256)) * 10), fragsize=600)[::order]
    (segment,), tally = decoded(*(packet(ETHER / part) for part in parts))
    assert segment.payload == bytes(range(256)) * 10
    assert (segment.offset, segment.ip_bytes, segment.header_bytes) == (-1, 20 + 8 + 2560, 28)
    assert tally.skipped == {"ip_fragment": len(parts) - 1}


@pytest.mark.parametrize("order", [1, -1])
def test_ipv6_fragments_are_joined(order: int) -> None:
    whole = over_ipv6(udp(C2S, bytes(range(256)) * 10), IPv6ExtHdrFragment(id=7))
    parts = fragment6(whole, 800)[::order]
    (segment,), tally = decoded(*(packet(ETHER / part) for part in parts))
    assert segment.payload == bytes(range(256)) * 10
    assert tally.skipped == {"ip_fragment": len(parts) - 1}


def test_fragments_that_never_all_come_are_counted() -> None:
    parts = fragment(udp(C2S, bytes(2000)), fragsize=600)[:-1]
    segments, tally = decoded(*(packet(ETHER / part) for part in parts))
    assert (segments, tally.damage) == ([], {"fragments_incomplete": 1})


@pytest.mark.parametrize(
    ("frame", "linktype", "kind"),
    [
        (ETHER / ARP(), 1, "ethertype_0806"),
        (ETHER / IP(proto=1) / Raw(b"ping"), 1, "ip_proto_1"),
        (ETHER / IP() / IP() / TCP(), 1, "ip_proto_4"),
        (b"\x60" + bytes(5) + b"\x3a" + bytes(40), 101, "ip_proto_58"),
        (bytes(30), 105, "linktype_105"),
        (bytes(30), 101, "not_ip"),
    ],
)
def test_what_is_no_flow_is_skipped_by_kind(frame: bytes | Layer, linktype: int, kind: str) -> None:
    segments, tally = decoded(packet(frame, linktype))
    assert (segments, dict(tally.skipped), dict(tally.damage)) == ([], {kind: 1}, {})


@pytest.mark.parametrize(
    ("frame", "linktype", "kind"),
    [
        (b"", 1, "frame_short"),
        (bytes(ETHER), 101, "not_ip"),
        (bytes(ETHER / FOUR)[:30], 1, "ipv4_header"),
        (bytes(ETHER / SIX)[:50], 1, "ipv6_header"),
        (bytes(ETHER / FOUR)[:40], 1, "tcp_header"),
        (ETHER / IP(len=19) / TCP(), 1, "ip_length"),
        (ETHER / IP() / TCP(dataofs=15), 1, "tcp_length"),
        (ETHER / IP() / TCP(dataofs=3), 1, "tcp_header"),
        (ETHER / IP() / UDP(len=4), 1, "udp_length"),
        (ETHER / IP() / UDP(len=400), 1, "udp_length"),
        (ETHER / over_ipv6(FOUR, IPv6ExtHdrHopByHop(len=200)), 1, "headers"),
    ],
)
def test_damage_is_counted_by_kind(frame: bytes | Layer, linktype: int, kind: str) -> None:
    segments, tally = decoded(packet(frame, linktype, orig_len=2000))
    assert segments == []
    assert {**tally.skipped, **tally.damage} == {kind: 1}


def test_nested_tunnels_do_not_recurse() -> None:
    six = b"\x60" + bytes(3) + struct.pack(">HBB", 65_000, 41, 64) + bytes(32)
    four = bytes(IP(proto=4, len=0))
    segments, tally = decoded(packet(six * 1600, 101), packet(four * 3000, 101))
    assert (segments, tally.skipped) == ([], {"ip_proto_41": 1, "ip_proto_4": 1})
