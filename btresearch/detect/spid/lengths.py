"""Meters of packet lengths and of the delays between packets."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from btresearch.detect.spid.packets import Counts, Ints, Packets

LONGEST_BYTES = 1500  # the packet length that reaches the top of a compressed scale
LONGEST_DELAY = 60_000_000  # a minute in microseconds
SHORTEST_DELAY = 16
CHUNK_BYTES = 64
CHUNKS = 64
TICK_NS = 100  # .NET's tick
PRIMES = (2, 3, 5, 7)
_DIVISORS = np.array(
    [sum(1 << i for i, prime in enumerate(PRIMES) if n % prime == 0) for n in range(math.prod(PRIMES))]
)


@cache
def _edges(bins: int, largest: int) -> Ints:
    """The smallest number that the scale number ** (log bins / log largest) lifts to 1, 2 ... bins - 1."""
    exponent = math.log(bins) / math.log(largest)
    edges = []
    for bin_ in range(1, bins):
        edge = max(1, int(bin_ ** (1 / exponent)) - 2)
        while int(edge**exponent) < bin_:
            edge += 1
        edges.append(edge)
    return np.array(edges, dtype=np.int64)


def scaled(values: Ints, bins: int, largest: int = LONGEST_BYTES) -> Ints:
    """Numbers on a compressed scale of that many bins, of which `largest` reaches the last."""
    return np.asarray(np.searchsorted(_edges(bins, largest), values, side="right"), dtype=np.int64)


def accumulated_direction_bytes(packets: Packets) -> Counts:
    """Meter 1: bytes so far in each of the first four direction runs, in chunks of 64."""
    running = np.cumsum(packets.length)
    run_starts = np.flatnonzero(packets.turns)
    before_run = (running - packets.length)[run_starts][np.cumsum(packets.turns) - 1]
    seen = running - before_run
    counted = (packets.run < 4) & ((seen - packets.length) // CHUNK_BYTES < CHUNKS)
    return packets.count(64 * packets.run + np.minimum(CHUNKS - 1, seen // CHUNK_BYTES), counted)


def direction_packet_length(packets: Packets) -> Counts:
    """Meter 11: packet length on a compressed scale, apart by direction."""
    return packets.count(scaled(packets.length, 128) + 128 * ~packets.from_client)


def direction_packet_size_change(packets: Packets) -> Counts:
    """Meter 12: difference of the length to the last packet of that direction (0 at first), modulo 128."""
    change = np.zeros(len(packets.row), np.int64)
    for way in (packets.from_client, ~packets.from_client):
        row, length = packets.row[way], packets.length[way]
        before = np.where(np.diff(row, prepend=-1) == 0, np.roll(length, 1), 0)
        change[way] = np.abs(length - before)
    return packets.count(change % 128 + 128 * ~packets.from_client)


def first_4_direction_delay(packets: Packets) -> Counts:
    """Meter 22: delay since the packet before on a compressed scale; the first packet of all reaches its top.

    The original takes ten times the ticks of 100 ns for microseconds, so that 0.6 s fill a scale meant for a minute.
    """
    return _delays(packets, 10 * (packets.first(4).gap_ns // TICK_NS))


def first_4_direction_delay_in_microseconds(packets: Packets) -> Counts:
    """Meter 22 with its unit repaired."""
    return _delays(packets, packets.first(4).gap_ns // 1000)


def _delays(packets: Packets, delay: Ints) -> Counts:
    first = packets.first(4)
    bins = np.where(first.k == 0, 31, scaled(delay - SHORTEST_DELAY, 32, LONGEST_DELAY))
    return first.count(32 * first.k + bins + 128 * ~first.from_client)


def first_4_direction_packet_size(packets: Packets) -> Counts:
    """Meter 23: length of each of the first four packets on a compressed scale, apart by direction."""
    first = packets.first(4)
    return first.count(32 * first.k + scaled(first.length, 32) + 128 * ~first.from_client)


def packet_length(packets: Packets) -> Counts:
    """Meter 33: packet length modulo 256."""
    return packets.count(packets.length % 256)


def packet_pair_length_primes(packets: Packets) -> Counts:
    """Meter 34: which of 2, 3, 5 and 7 divide the length, and which divided the one before."""
    flags = _DIVISORS[packets.length % len(_DIVISORS)]
    before = np.where(packets.k == 0, 0, np.roll(flags, 1))
    return packets.count((flags << 4) + before)
