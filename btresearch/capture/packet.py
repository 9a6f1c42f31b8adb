"""One captured packet, and what a reader says about a damaged file."""

from __future__ import annotations

from os import PathLike
from typing import NamedTuple

from btresearch.errors import InputError

MAX_PACKET_BYTES = 262_144
"""Longest packet that is read or written: tcpdump's and Wireshark's own limit (MAXIMUM_SNAPLEN)."""

MAX_T_NS = 2**63 - 1
"""Latest time that fits the int64 columns of the flow table (the year 2262)."""


class Packet(NamedTuple):
    """One captured packet; a tuple, since millions of them are made.

    `t_ns` is the time since the Unix epoch (ns; 0 where the file has none), `data` the captured bytes from
    the link layer on, `orig_len` its length on the wire (bytes; above len(data) where the snapshot length
    cut it), `linktype` its LINKTYPE_ number, `comment` the pcapng comments (joined by newlines).
    """

    t_ns: int
    data: bytes
    orig_len: int
    linktype: int
    comment: str | None = None


class DamagedCapture(InputError):
    """A capture file that breaks off or contradicts itself; every packet before that was delivered.

    `kind` is one of format, truncated, length, block, interface, time, gzip.
    """

    def __init__(self, kind: str, source: str | PathLike[str], expected: str, *, offset: int) -> None:
        self.kind = kind
        super().__init__(source, expected, offset=offset)
