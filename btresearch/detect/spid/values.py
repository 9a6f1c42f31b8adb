"""Meters of byte values."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from btresearch.detect.spid.packets import BINS, OPENING_BYTES, Counts, Ints, Packets

FRAME_CAP_BYTES = 100  # meters 5 and 24 look at frame offsets below this


def byte_frequency(packets: Packets) -> Counts:
    """Meter 4: every byte of the first five packets."""
    first = packets.first(5)
    counts = np.zeros((packets.sessions, BINS), np.int64)
    bounds = [*np.flatnonzero(first.k == 0).tolist(), len(first.row)]
    # Session by session, since the bytes are too many to be worth a key each.
    for session, (start, stop) in enumerate(pairwise(bounds)):
        payload = b"".join(first.payload[start:stop])
        counts[session] = np.bincount(np.frombuffer(payload, np.uint8), minlength=BINS)
    return counts


def _below_cap(packets: Packets) -> Ints:
    return np.clip(FRAME_CAP_BYTES - packets.header, 0, packets.kept)


def byte_frequency_of_first_packet_bytes(packets: Packets) -> Counts:
    """Meter 5: bytes of the first eight packets while the frame offset is below 100."""
    first = packets.first(8)
    return first.count_bytes(first.opening, _below_cap(first))


def direction_byte_frequency(packets: Packets) -> Counts:
    """Meter 10: values modulo 128 of the first 100 bytes of the first eight packets, apart by direction."""
    first = packets.first(8)
    return first.count_bytes(
        first.opening % 128, np.minimum(first.kept, OPENING_BYTES), 128 * ~first.from_client
    )


def first_2_per_direction_first_5_byte_differences(packets: Packets) -> Counts:
    """Meter 19: distance of the first five bytes of a direction's second packet to those of its first.

    The first packet counts as padded with zeros. (The original reads on into the trailer of a short frame.)
    """
    first, second = (np.flatnonzero(packets.way_k == n) for n in (0, 1))
    of_way = np.zeros((packets.sessions, 2), np.int64)
    of_way[packets.row[first], packets.from_client[first].astype(np.int64)] = first
    before = of_way[packets.row[second], packets.from_client[second].astype(np.int64)]
    here, there = (packets.head[at, :5].astype(np.int64) for at in (second, before))
    distance = np.minimum(127, np.abs(here - there)) + 128 * ~packets.from_client[second, None]
    which, offset = np.nonzero(np.arange(5) < packets.kept[second, None])
    return packets.count_at(second[which], distance[which, offset])


def first_4_byte_frequency(packets: Packets) -> Counts:
    """Meter 24: byte values modulo 64 in each of the first four packets, frame offset below 100."""
    first = packets.first(4)
    return first.count_bytes(first.opening % 64, _below_cap(first), 64 * first.k)
