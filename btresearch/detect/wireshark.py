"""Wireshark's heuristics for BitTorrent: the handshake over TCP, the DHT, and (off by default) uTP.

The rules of its dissectors, asked of each payload packet; the program itself is the detector `tshark`. The
dissectors' port tables are left out: a port is no content.
"""

from __future__ import annotations

import numpy as np

from btresearch.detect.payloads import Bools, Payloads
from btresearch.detect.signature import HANDSHAKE, Rule, Signatures, starts, tcp, udp

UTP_TYPES = 5
UTP_EXTENSIONS = 3
UTP_MAX_WINDOW_BYTES = 0x380000
UTP_HEADER_BYTES = 20


def utp(p: Payloads) -> Bools:
    """A uTP v1 header (BEP 29): version, type, extension and window within the dissector's limits."""
    head = (p.u8(0) & 15 == 1) & (p.u8(0) >> 4 < UTP_TYPES) & (p.length >= UTP_HEADER_BYTES)
    extension, following = p.u8(1), p.u8(UTP_HEADER_BYTES)
    chain = (extension == 0) | ((following < UTP_EXTENSIONS) & (p.u8(UTP_HEADER_BYTES + 1) >= 4))
    window = p.u32(12)
    return np.asarray(
        head & (extension < UTP_EXTENSIONS) & chain & (window >= 0) & (window <= UTP_MAX_WINDOW_BYTES)
    )


DEFAULT_RULES = (
    Rule("packet-bittorrent.c handshake", tcp(starts(HANDSHAKE))),
    Rule("packet-bt-dht.c dictionary", udp(starts(b"d1:ad", b"d1:rd", b"d2:ip", b"d1:el"))),
)
UTP_RULE = Rule("packet-bt-utp.c v1 header", udp(utp))


def wireshark(*, heuristic_utp: bool = False) -> Signatures:
    """Wireshark as installed, or with the uTP heuristic that a user has to switch on."""
    return Signatures(
        name="wireshark_utp" if heuristic_utp else "wireshark",
        version="1",
        cites=("Wireshark, epan/dissectors/packet-bittorrent.c, packet-bt-dht.c, packet-bt-utp.c",),
        rules=(*DEFAULT_RULES, UTP_RULE) if heuristic_utp else DEFAULT_RULES,
        packets=10,
    )


DETECTOR = wireshark()
