"""Meters of single bits; the least significant bit of a byte comes first."""

from __future__ import annotations

import numpy as np

from btresearch.detect.spid.packets import BINS, Counts, Octets, Packets

LOWEST = np.uint64(0x0101_0101_0101_0101)  # the lowest bit of each byte of a word


def byte_bit_value(packets: Packets) -> Counts:
    """Meter 3: the share of zeros at each bit position in the first 32 bytes of the first eight packets."""
    first = packets.first(8)
    words = first.head.view(np.uint64)
    ones = [
        np.bitwise_count(words >> np.uint64(bit) & LOWEST).sum(axis=1, dtype=np.int64) for bit in range(8)
    ]
    size = np.minimum(first.kept, 32)[:, None]
    share = 15 * (size - np.stack(ones, axis=1)) // np.maximum(size, 1)
    place = np.arange(8) + 8 * ~first.from_client[:, None]
    return first.count(16 * place + share, np.repeat(size > 0, 8, axis=1))


def _set(packets: Packets, width: int) -> Octets:
    """The bits of the first `width` bytes, a row per packet; bytes that are missing have none."""
    return np.unpackbits(packets.head[:, :width], axis=1, bitorder="little")


def first_2_first_bit_positions(packets: Packets) -> Counts:
    """Meter 14: the bits of the first 8 bytes of each of the first two packets, the set ones and the clear ones."""
    first = packets.first(2)
    marks = _set(first, 8)
    counts = np.zeros((packets.sessions, 2, 2, BINS // 4), np.int64)
    counts[first.row, first.k, 0] = marks
    counts[first.row, first.k, 1] = np.repeat(first.reach(8), 8, axis=1) & (marks == 0)
    return counts.reshape(-1, BINS)


def _positions(packets: Packets) -> Counts:
    """How often each of the first 128 bits is set, and how often it is clear."""
    ones = packets.total(_set(packets, 16))
    there = np.repeat(packets.total(packets.reach(16).view(np.uint8)), 8, axis=1)
    return np.hstack([ones, there - ones])


def first_bit_positions(packets: Packets) -> Counts:
    """Meter 28: the bits of the first 16 bytes of the first eight packets, the set ones and the clear ones."""
    return _positions(packets.first(8))


def first_server_packet_first_bit_positions(packets: Packets) -> Counts:
    """Meter 30: as meter 28, of the first packet from the server only."""
    return _positions(packets.chosen((packets.way_k == 0) & ~packets.from_client))
