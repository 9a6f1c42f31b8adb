"""Patched frames are byte for byte what scapy builds."""

from __future__ import annotations

import struct
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.utils import checksum as scapy_checksum

from btresearch.capture.template import Template, checksum

ENDPOINTS = {4: ("10.0.0.1", 4000, "10.0.0.2", 6881), 6: ("fd00::1", 4000, "fd00::2", 6881)}
u32 = st.integers(0, 2**32 - 1)


def rebuilt(frame: bytes) -> bytes:
    """Return the frame as scapy builds it anew, with lengths and checksums of its own."""
    packet = Ether(frame)
    for layer in (IP, TCP, UDP):
        if layer in packet:
            del packet[layer].chksum
    for layer, field in ((IP, "len"), (IPv6, "plen"), (UDP, "len")):
        if layer in packet:
            packet[layer].delfieldval(field)
    return bytes(packet)


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=200))
def test_checksum_is_scapys(data: bytes) -> None:
    assert checksum(data) == scapy_checksum(data)


@pytest.mark.parametrize("data", [b"", b"\0\0", b"\xff\xff", b"\xff\xff\0\0", b"\xff", b"\0" * 9])
def test_checksum_at_its_edges(data: bytes) -> None:
    assert checksum(data) == scapy_checksum(data)


@pytest.mark.parametrize("version", [4, 6])
@settings(deadline=None, max_examples=40)
@given(numbers=st.tuples(u32, u32), times_ms=st.tuples(u32, u32), payload=st.binary(max_size=100))
def test_segments(version: int, numbers: tuple[int, int], times_ms: tuple[int, int], payload: bytes) -> None:
    frame = Template("tcp", *ENDPOINTS[version]).segment(numbers, 0x18, times_ms, payload)
    assert frame == rebuilt(frame)
    found = Ether(frame)[TCP]
    assert (found.seq, found.ack, found.flags, bytes(found.payload)) == (*numbers, "PA", payload)
    assert dict(option for option in found.options if option[0] == "Timestamp") == {"Timestamp": times_ms}
    assert (found.sport, found.dport) == (4000, 6881)


@pytest.mark.parametrize("version", [4, 6])
@settings(deadline=None, max_examples=40)
@given(payload=st.binary(max_size=100))
def test_datagrams(version: int, payload: bytes) -> None:
    frame = Template("udp", *ENDPOINTS[version]).datagram(payload)
    assert frame == rebuilt(frame)
    assert bytes(Ether(frame)[UDP].payload) == payload


def test_a_udp_checksum_of_zero_is_sent_as_ones() -> None:
    template = Template("udp", *ENDPOINTS[6])
    zero_sum = struct.unpack(">H", template.datagram(b"\0\0")[-4:-2])[0]
    assert template.datagram(struct.pack(">H", zero_sum))[-4:-2] == b"\xff\xff"


@pytest.mark.parametrize("version", [4, 6])
def test_the_syn_carries_linux_options(version: int) -> None:
    found = Ether(Template("tcp", *ENDPOINTS[version]).syn((7, 0), "S", (5, 0), 1460))[TCP]
    assert [name for name, _ in found.options] == ["MSS", "SAckOK", "Timestamp", "NOP", "WScale"]
    assert (found.seq, found.flags, dict(found.options)["MSS"]) == (7, "S", 1460)


def test_ip_ids_count_up() -> None:
    template = Template("udp", *ENDPOINTS[4])
    ids = [Ether(template.datagram(b"x"))[IP].id for _ in range(3)]
    assert [(b - a) % 65_536 for a, b in pairwise(ids)] == [1, 1]
