"""What the sniffers of proxies look for: sing-box and Xray on first packets, and a published blocker's MSE rule.

Xray's sniffer and sing-box's agree on the handshake and on uTP; sing-box also knows the UDP tracker. The MSE rule
of spaiter/BitTorrentBlocker is replayed as published although it cannot fire on real MSE: what it looks for (a
verification constant of eight zero bytes) travels under RC4, and 96 random bytes hold 6.24 bits of entropy on
average and 6.585 at most, rarely over its 6.5.
"""

from __future__ import annotations

import numpy as np

from btresearch.detect.payloads import Bools, Payloads
from btresearch.detect.signature import HANDSHAKE, Rule, Signatures, starts, tcp, udp

UTP_TYPES = 4
UTP_EXTENSIONS = 4
UTP_HEADER_BYTES = 20
TRACKER_MAGIC = (0x41727101980).to_bytes(8, "big") + bytes(4)  # BEP 15: protocol id, action connect
TRACKER_BYTES = 16

DH_BYTES = 96
MSE_MINIMUM_BYTES = 108
MSE_ENTROPY_BITS = 6.5
VC = bytes(8)
VC_SEARCH_END = 628
CRYPTO_METHODS = (1, 2, 3)


def utp(p: Payloads) -> Bools:
    """sing-box's uTP test: version 1, a known type, extensions of known kinds that end within the packet."""
    head = (p.u8(0) & 15 == 1) & (p.u8(0) >> 4 <= UTP_TYPES) & (p.length >= UTP_HEADER_BYTES)
    found = np.zeros(len(p.payload), dtype=bool)
    for at in np.flatnonzero(head):
        found[at] = extensions_end(p.payload[at])
    return found


def extensions_end(packet: bytes) -> bool:
    """Whether the chain of uTP extensions has known kinds and ends within the packet."""
    kind, at = packet[1] if len(packet) > 1 else 0, UTP_HEADER_BYTES
    while kind:
        if kind > UTP_EXTENSIONS or at + 2 > len(packet):
            return False
        kind, at = packet[at], at + 2 + packet[at + 1]
    return at <= len(packet)


def published_mse(p: Payloads) -> Bools:
    """The blocker's MSE rule: entropy of the first 96 bytes over 6.5 bits, then eight zeros and a method in clear."""
    found = np.zeros(len(p.payload), dtype=bool)
    for at in np.flatnonzero(p.kept >= MSE_MINIMUM_BYTES):
        found[at] = shows_vc(p.payload[at]) and entropy_bits(p.payload[at][:DH_BYTES]) > MSE_ENTROPY_BITS
    return found


def shows_vc(packet: bytes) -> bool:
    """Whether eight zero bytes stand between bytes 96 and 628, followed by a crypto method as a 4-byte number."""
    at = packet.find(VC, DH_BYTES, VC_SEARCH_END)
    after = packet[at + len(VC) : at + len(VC) + 4]
    return at >= 0 and len(after) == 4 and int.from_bytes(after, "big") in CRYPTO_METHODS


def entropy_bits(data: bytes) -> float:
    """Shannon entropy of the byte values, in bits; log2 of the length at most."""
    counts = np.bincount(np.frombuffer(data, np.uint8))
    share = counts[counts > 0] / max(1, len(data))
    return float(-(share * np.log2(share)).sum())


DETECTOR = Signatures(
    name="proxy_sniff",
    version="1",
    cites=(
        "SagerNet/sing-box, common/sniff/bittorrent.go",
        "XTLS/Xray-core, common/protocol/bittorrent (handshake and uTP)",
        "spaiter/BitTorrentBlocker, internal/blocker/detectors.go (MSE rule)",
    ),
    rules=(
        Rule("handshake", tcp(starts(HANDSHAKE))),
        Rule("uTP v1", udp(utp)),
        Rule("UDP tracker connect", udp(lambda p: p.starts(TRACKER_MAGIC) & (p.length >= TRACKER_BYTES))),
        Rule("MSE as published", tcp(published_mse)),
    ),
    packets=4,
)
