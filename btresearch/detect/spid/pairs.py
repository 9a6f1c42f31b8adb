"""Meters of byte pairs."""

from __future__ import annotations

import numpy as np

from btresearch.detect.spid.hashes import hash8
from btresearch.detect.spid.packets import Bools, Counts, Ints, Packets

WAY_PAIR_BINS = 28  # 256 over nine combinations of directions


def _ways(packets: Packets) -> Ints:
    """Bin of the directions of the packet before (0 none, 1 client's, 2 server's) and of the packet itself."""
    way = np.where(packets.from_client, 1, 2)
    before = np.where(packets.k == 0, 0, np.roll(way, 1))
    return WAY_PAIR_BINS * (3 * before + way)


def _places(which: Bools) -> tuple[Ints, Ints]:
    """Number and packet of the pairs where `which` holds; np.nonzero is slow on two axes."""
    return np.divmod(np.flatnonzero(which), which.shape[1])


def recurring_count(packets: Packets) -> Counts:
    """Meter 6: how many aligned byte pairs of the first 32 bytes the previous packet had too."""
    return packets.count(_ways(packets) + packets.recurring_once.sum(axis=0))


def recurring(packets: Packets) -> Counts:
    """Meter 7: hash of each aligned byte pair of the first 32 bytes that the previous packet had too."""
    pair, packet = _places(packets.recurring_once)
    return packets.count_at(packet, hash8(packets.pairs[pair, packet].astype(np.int64)))


def recurring_offsets(packets: Packets) -> Counts:
    """Meter 8: number of each aligned byte pair of the first 32 bytes that the previous packet had too."""
    pair, packet = _places(packets.recurring)
    return packets.count_at(packet, _ways(packets)[packet] + pair)


def first_4_first_16_byte_pairs(packets: Packets) -> Counts:
    """Meter 26: hash of the pairs that begin at the first 16 bytes of the first four packets."""
    first = packets.first(4)
    values = first.head[:, :17].astype(np.int64)
    return first.count(hash8(values[:, :-1] << 8 | values[:, 1:]), first.reach(17)[:, 1:])
