"""Meters of half bytes; the high one of a byte comes first."""

from __future__ import annotations

import numpy as np

from btresearch.detect.spid.packets import BINS, Counts, Ints, Octets, Packets

FOLDED = np.array([(value ^ value >> 4) & 15 for value in range(BINS)])  # high nibble XOR low nibble
POPULAR_PACKETS = 8
SEVEN = np.uint64(7)
EACH = np.uint64(0x1111_1111_1111_1111)
HIGHEST = np.uint64(0x8888_8888_8888_8888)


def _folded(packets: Packets, width: int) -> Ints:
    """16 offset + folded nibble for the first `width` bytes of each packet."""
    return FOLDED[packets.head[:, :width]] + 16 * np.arange(width)


def _nibbles(packets: Packets, width: int) -> Octets:
    head = packets.head[:, :width]
    return np.stack([head >> 4, head & 15], axis=2).reshape(len(head), 2 * width)


def first_2_first_byte_nibbles(packets: Packets) -> Counts:
    """Meter 15: folded nibbles of the first 8 bytes of each of the first two packets."""
    first = packets.first(2)
    return first.count(_folded(first, 8) + 128 * first.k[:, None], first.reach(8))


def first_4_direction_first_byte_nibbles(packets: Packets) -> Counts:
    """Meter 20: folded nibbles of the first 8 bytes of the first four packets, apart by direction."""
    first = packets.first(4)
    return first.count(_folded(first, 8) + 128 * first.from_client[:, None], first.reach(8))


def first_4_ordered_direction_first_byte_nibbles(packets: Packets) -> Counts:
    """Meter 21: folded nibbles of the first 2 bytes of each of the first four packets, and direction."""
    first = packets.first(4)
    place = 32 * first.k + 128 * ~first.from_client
    return first.count(_folded(first, 2) + place[:, None], first.reach(2))


def first_per_direction_first_byte_nibbles(packets: Packets) -> Counts:
    """Meter 29: folded nibbles of the first 8 bytes of the first packet of each direction."""
    first = packets.chosen(packets.way_k == 0)
    return first.count(_folded(first, 8) + 128 * ~first.from_client[:, None], first.reach(8))


def nibble_position_frequency(packets: Packets) -> Counts:
    """Meter 31: the first 16 nibbles of the first eight packets, apart by position (KISS)."""
    first = packets.first(8)
    bins = _nibbles(first, 8) + 16 * np.arange(16)
    return first.count(bins, np.repeat(first.reach(8), 2, axis=1))


def nibble_position_popularity(packets: Packets) -> Counts:
    """Meter 32: how many nibble values earlier packets had more often at the same position (KISS)."""
    first = packets.first(POPULAR_PACKETS)
    shifts = _nibbles(first, 16).astype(np.uint64) << np.uint64(2)
    there = np.repeat(first.reach(16), 2, axis=1)
    rank = np.zeros(shifts.shape, np.int64)
    # A word per position counts its 16 nibble values in four bits each: at most seven earlier packets leave the
    # highest of the four free, and adding 7 - mine to each count raises it where that count exceeds mine.
    tally = np.zeros((packets.sessions, shifts.shape[1]), np.uint64)
    for k in range(POPULAR_PACKETS):
        at = np.flatnonzero(first.k == k)
        words, shift = tally[first.row[at]], shifts[at]
        less = SEVEN - (words >> shift & SEVEN)
        rank[at] = np.bitwise_count(words + less * EACH & HIGHEST)
        tally[first.row[at]] = words + (there[at].astype(np.uint64) << shift)
    return first.count(8 * np.arange(shifts.shape[1]) + rank, there & (first.k[:, None] > 0))
