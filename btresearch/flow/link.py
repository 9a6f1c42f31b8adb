"""Where the IP datagram starts in a frame, for each link type that a capture may have.

Link type numbers: tcpdump.org's LINKTYPE_ list. EtherTypes: the IEEE registry (RFC 7042, appendix B).
"""

from __future__ import annotations

import struct
from collections.abc import Callable

Found = tuple[int, int] | str
"""(IP version, offset of the IP header), or the kind of frame that holds no IP."""

ETHERTYPES = {0x0800: 4, 0x86DD: 6}
PPP_PROTOCOLS = {0x0021: 4, 0x0057: 6}  # RFC 1332, RFC 5072
AF_INET = {2: 4, 24: 6, 28: 6, 30: 6, 10: 6}  # BSD's, FreeBSD's, Darwin's and Linux's AF_INET6
VLAN_TAGS = frozenset((0x8100, 0x88A8, 0x9100, 0x9200))  # 802.1Q, 802.1ad, and two older QinQ values
MPLS = frozenset((0x8847, 0x8848))
PPPOE_SESSION = 0x8864
MAX_LAYERS = 16  # of tags and shims below IP; real stacks have up to four
MAX_LABELS = 16

_u16 = struct.Struct(">H").unpack_from
_u32 = struct.Struct(">I").unpack_from


def locate(linktype: int, frame: bytes) -> Found:
    """Find the IP header in `frame`, or name what the frame holds instead ("short" when it is cut)."""
    finder = LINKS.get(linktype)
    if finder is None:
        return f"linktype_{linktype}"
    try:
        return finder(frame)
    except (struct.error, IndexError):
        return "short"


def _ethertype(kind: int, frame: bytes, at: int) -> Found:
    """Walk from EtherType `kind`, whose body starts at `at`, through tags and shims to IP."""
    for _ in range(MAX_LAYERS):
        version = ETHERTYPES.get(kind)
        if version:
            return version, at
        if kind in VLAN_TAGS:
            kind, at = _u16(frame, at + 2)[0], at + 4
        elif kind in MPLS:
            return _mpls(frame, at)
        elif kind == PPPOE_SESSION:
            return _ppp_protocol(frame, at + 6)
        elif kind <= 1500:
            if frame[at : at + 6] != b"\xaa\xaa\x03\0\0\0":  # LLC and SNAP, RFC 1042
                return "llc"
            kind, at = _u16(frame, at + 6)[0], at + 8
        else:
            return f"ethertype_{kind:04x}"
    return "too_many_layers"


def _mpls(frame: bytes, at: int) -> Found:
    for label in range(MAX_LABELS):
        if frame[at + 4 * label + 2] & 1:  # bottom of stack, RFC 3032 section 2.1
            found = _raw(frame, at + 4 * label + 4)
            return "mpls_other" if isinstance(found, str) else found
    return "too_many_layers"


def _ppp_protocol(frame: bytes, at: int) -> Found:
    kind = _u16(frame, at)[0]
    version = PPP_PROTOCOLS.get(kind)
    return (version, at + 2) if version else f"ppp_{kind:04x}"


def _ethernet(frame: bytes) -> Found:
    return _ethertype(_u16(frame, 12)[0], frame, 14)


def _raw(frame: bytes, at: int = 0) -> Found:
    version = frame[at] >> 4
    return (version, at) if version in (4, 6) else "not_ip"


def _ppp(frame: bytes) -> Found:
    return _ppp_protocol(frame, 2 if frame[:2] == b"\xff\x03" else 0)  # RFC 1662's address and control


def _null(frame: bytes) -> Found:
    family = _u32(frame)[0]
    if family > 0xFFFF:  # the capturing host's byte order: little-endian here
        family = int.from_bytes(frame[:4], "little")
    version = AF_INET.get(family)
    return (version, 4) if version else f"family_{family}"


LINKS: dict[int, Callable[[bytes], Found]] = {
    0: _null,
    1: _ethernet,
    9: _ppp,
    12: _raw,
    14: _raw,
    50: _ppp,
    101: _raw,
    104: lambda frame: _ethertype(_u16(frame, 2)[0], frame, 4),  # Cisco HDLC
    108: _null,
    113: lambda frame: _ethertype(_u16(frame, 14)[0], frame, 16),  # Linux cooked
    228: lambda frame: (4, 0),
    229: lambda frame: (6, 0),
    276: lambda frame: _ethertype(_u16(frame, 0)[0], frame, 20),  # Linux cooked v2
}
