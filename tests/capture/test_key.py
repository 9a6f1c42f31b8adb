"""5-tuples of frames that scapy built."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import CookedLinux, Dot1AD, Dot1Q, Ether, Loopback

from btresearch.capture.key import key_between, key_of, reverse

V4 = IP(src="10.0.0.1", dst="10.0.0.2")
V6 = IPv6(src="fd00::1", dst="fd00::2")
PORTS = {"sport": 4000, "dport": 6881}
LINK = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")


@pytest.mark.parametrize(
    ("frame", "linktype"),
    [
        (LINK, 1),
        (LINK / Dot1Q(vlan=5), 1),
        (LINK / Dot1AD(vlan=5) / Dot1Q(vlan=6), 1),
        (CookedLinux(), 113),
        (Loopback(), 0),
        (None, 101),
    ],
)
@pytest.mark.parametrize("proto", ["tcp", "udp"])
def test_every_link_layer(frame: Any, linktype: int, proto: str) -> None:
    layer = TCP(**PORTS) if proto == "tcp" else UDP(**PORTS)
    for network, src, dst in ((V4, "10.0.0.1", "10.0.0.2"), (V6, "fd00::1", "fd00::2")):
        whole = network / layer if frame is None else frame / network / layer
        found = key_of(bytes(whole), linktype)
        assert found == key_between(proto, src, 4000, dst, 6881)
        assert found is not None
        assert reverse(found) == key_between(proto, dst, 6881, src, 4000)
        assert reverse(reverse(found)) == found


def test_ip_options_move_the_ports() -> None:
    packet = IP(src="10.0.0.1", dst="10.0.0.2", options=[("NOP"), ("NOP"), ("NOP"), ("NOP")]) / UDP(**PORTS)
    assert key_of(bytes(packet), 101) == key_between("udp", "10.0.0.1", 4000, "10.0.0.2", 6881)


@pytest.mark.parametrize(
    "frame",
    [
        LINK / V4 / ICMP(),
        LINK / IP(src="10.0.0.1", dst="10.0.0.2", frag=3) / UDP(**PORTS),
        LINK / b"no address",
        Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02", type=0x0806) / bytes(40),
    ],
)
def test_what_has_no_key(frame: Any) -> None:
    assert key_of(bytes(frame), 1) is None


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=60), st.sampled_from([0, 1, 101, 113, 276, 999]))
def test_any_bytes_are_a_key_or_none(raw: bytes, linktype: int) -> None:
    found = key_of(raw, linktype)
    assert found is None or len(found.ports) == 4
