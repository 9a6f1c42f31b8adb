"""ipp2p's BitTorrent rules (xtables-addons, xt_ipp2p.c), each payload packet by itself.

Kept as they stand: the rule for a 17-byte `request` over TCP cannot be reached, since the list asks for more than
20 bytes; nor can those for UDP packets of 16 and 21 bytes under the gate of 23.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from btresearch.detect.payloads import Bools, Payloads
from btresearch.detect.signature import HANDSHAKE, Rule, Signatures, Test, starts, tcp, udp, within

TCP_MORE_THAN_BYTES = 20
UDP_MORE_THAN_BYTES = 23


def _longer(test: Test, than: int) -> Test:
    return lambda p: test(p) & (p.length > than)


def _tcp(test: Test) -> Test:
    return tcp(_longer(test, TCP_MORE_THAN_BYTES))


def _udp(test: Test) -> Test:
    return udp(_longer(test, UDP_MORE_THAN_BYTES))


def _sized(length: int, at: int, value: int) -> Callable[[Payloads], Bools]:
    """A packet of exactly this length with this number at this offset."""
    return lambda p: (p.length == length) & (p.u32(at) == value)


def _request(p: Payloads) -> Bools:
    """GET / with one of a tracker request's parameters."""
    get = p.starts(b"GET /")
    keys = (b"info_hash=", b"peer_id=", b"passkey=")
    return np.asarray(np.logical_or.reduce([p.contains(key, get) for key in keys]))


DETECTOR = Signatures(
    name="ipp2p",
    version="1",
    cites=("xtables-addons, extensions/xt_ipp2p.c (search_bittorrent, udp_search_bit)",),
    rules=(
        Rule("TCP handshake", _tcp(starts(HANDSHAKE))),
        Rule("TCP tracker request", _tcp(_request)),
        Rule("UDP 36 B", _udp(_sized(36, 8, 0x00000400))),
        Rule("UDP 57 B", _udp(_sized(57, 8, 0x00000404))),
        Rule("UDP 59 B", _udp(_sized(59, 8, 0x00000406))),
        Rule("UDP 203 B", _udp(_sized(203, 0, 0x00000405))),
        Rule("UDP 44 B", _udp(lambda p: _sized(44, 0, 0x00000827)(p) & (p.u32(4) == 0x37502950))),
        Rule("UDP from 32 B", _udp(lambda p: (p.length >= 32) & (p.u32(8) == 0x402) & (p.u32(28) == 0x104))),
        Rule("UDP DHT", _udp(within(starts(b"d1:a", b"d1:r"), b"d2:id20:"))),
    ),
    packets=10,
)
