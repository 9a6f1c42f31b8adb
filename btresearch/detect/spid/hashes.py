"""Meters that hash bytes of the first packets, and the release's integer hash (its ConvertHelper)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from btresearch.detect.spid.lengths import scaled
from btresearch.detect.spid.packets import BINS, Bools, Counts, Ints, Packets

HASH8_PRIME = 251
HASH4_PRIME = 13
# The original mutates with the low byte of .NET's String.GetHashCode, which differs between
# runtimes; any constants serve a model that is trained with the same ones.
MUTATIONS = {True: (0x35, 0xA1), False: (0x5B, 0xE7)}
RUNS = 5  # direction runs that meter 2 compares
TRIAD = 3
NO_HASH = 16  # stands for a byte that the packet has not
NO_VALUE = 256

_HASH4 = np.arange(BINS, dtype=np.int64) % HASH4_PRIME
_OFFSET_HASH = (np.arange(BINS) + BINS * np.arange(32)[:, None]) % HASH8_PRIME
_NIBBLE = np.arange(16)
_DIGITS = np.array([len(str(value)) for value in range(BINS)])


def hash8(values: Ints) -> Ints:
    """Integer hash to 8 bits: C# remainder (keeps the sign), then lifted above zero."""
    remainder = np.fmod(values, HASH8_PRIME)
    return np.where(remainder >= 0, remainder, remainder + BINS)


def action_reaction_first_3_byte_hash(packets: Packets) -> Counts:
    """Meter 2: hash of the first bytes on both sides of a direction change, plain and mutated twice.

    The mutation is done in place, so a triad enters the next comparison already mutated.
    """
    heads = np.zeros((2, packets.sessions, TRIAD), np.int64)
    sizes = np.zeros((2, packets.sessions), np.int64)
    counts = np.zeros((packets.sessions, BINS), np.int64)
    turns = np.flatnonzero(packets.turns)
    for run in range(RUNS):
        at = turns[packets.run[turns] == run]
        session, mine = packets.row[at], packets.from_client[at].astype(np.int64)
        heads[mine, session] = packets.head[at, :TRIAD]
        sizes[mine, session] = np.minimum(packets.kept[at], TRIAD)
        for salt in (None, 0, 1):
            if salt is not None:
                _mutate(heads, session, mine, salt)
            bins = _triads_hash(heads, sizes, session, mine)
            counts[session, bins] += 1  # each session occurs once
    return counts


def _mutate(heads: Ints, session: Ints, mine: Ints, which: int) -> None:
    salts = np.array([MUTATIONS[False][which], MUTATIONS[True][which]])[mine]
    shift = salts[:, None] + np.arange(TRIAD)
    heads[1 - mine, session] += shift
    heads[mine, session] -= shift


def _triads_hash(heads: Ints, sizes: Ints, session: Ints, mine: Ints) -> Ints:
    """Byte hash of the other end's triad and then one's own: XOR of byte_i << 3 i, modulo 251."""
    there, here = sizes[1 - mine, session], sizes[mine, session]
    mixed = np.zeros(len(session), np.int64)
    for i in range(TRIAD):
        mixed ^= np.where(i < there, (heads[1 - mine, session, i] & 255) << 3 * i, 0)
        mixed ^= np.where(i < here, (heads[mine, session, i] & 255) << 3 * (i + there), 0)
    return mixed % HASH8_PRIME


def byte_value_offset_hash(packets: Packets) -> Counts:
    """Meter 9: hash of value and offset for the first 32 bytes of the first four packets."""
    first = packets.first(4)
    return first.count(_OFFSET_HASH[np.arange(32), first.head], first.reach(32))


def first_2_first_4_char_words(packets: Packets) -> Counts:
    """Meter 13: hash of the direction and of the word that the first bytes of the first two packets make.

    Bytes are written as decimal numbers until the word has four digits or more. The original hashes with .NET's
    String.GetHashCode, which differs between runtimes; here equal words hash alike, and that is all it takes.
    """
    first = packets.first(2)
    word, digits = (
        np.ones(len(first.row), np.int64),
        np.zeros(len(first.row), np.int64),
    )  # 1: keeps leading zeros
    for i in range(4):
        more = (digits < 4) & (i < first.kept)
        value = first.head[:, i].astype(np.int64)
        word = np.where(more, word * 10 ** _DIGITS[value] + value, word)
        digits += np.where(more, _DIGITS[value], 0)
    return first.count(hash8(2 * word + ~first.from_client))


def _hash_counts(packets: Packets, width: int) -> Ints:
    """How often each 4-bit hash occurs in the first `width` bytes of a packet: shape (packets, 16)."""
    hashes = np.where(packets.reach(width), _HASH4[packets.head[:, :width]], NO_HASH)
    keys = hashes + (NO_HASH + 1) * np.arange(len(hashes))[:, None]
    return np.bincount(keys.ravel(), minlength=(NO_HASH + 1) * len(hashes)).reshape(-1, NO_HASH + 1)[:, :16]


def first_2_first_16_byte_hash_counts(packets: Packets) -> Counts:
    """Meter 16: how often each 4-bit hash occurs in the first 16 bytes of the first two packets."""
    first = packets.first(2)
    return first.count(_NIBBLE << 4 ^ _hash_counts(first, 16))


def first_2_first_3_byte_hash_and_length(packets: Packets) -> Counts:
    """Meter 17: hash of each of the first three bytes of the first two packets, with the packet's length."""
    first = packets.first(2)
    lengths = scaled(first.length, 16)
    return first.count((_HASH4[first.head[:, :3]] << 4) + lengths[:, None], first.reach(3))


def first_2_first_8_byte_hash_direction_counts(packets: Packets) -> Counts:
    """Meter 18: as meter 16 of the first 8 bytes, with the direction; a count of 8 flips its bit."""
    first = packets.first(2)
    way = 8 * first.from_client[:, None]
    return first.count(_NIBBLE << 4 ^ way ^ _hash_counts(first, 8))


def first_4_recurring_distance_with_byte_hash(packets: Packets) -> Counts:
    """Meter 25: hash of each of the first 32 bytes that occurred at most 16 bytes before, and how far."""
    first = packets.first(4)
    values = np.where(first.reach(32), first.head.astype(np.int16), NO_VALUE)
    distance = np.zeros(values.shape, np.int64)
    for back in range(16, 0, -1):  # the nearest is written last
        distance[:, back:][values[:, back:] == values[:, :-back]] = back
    found = (distance > 0) & (values != NO_VALUE)
    return first.count((_HASH4[first.head] << 4) + distance - 1, found)


def first_4_first_32_bytes_equality(packets: Packets) -> Counts:
    """Meter 27: hash of the mask of offsets where a packet equals the one before it, both padded with zeros."""
    first = packets.first(4)
    same: Bools = first.head[1:] == first.head[:-1]
    masks: npt.NDArray[np.int32] = np.packbits(same, axis=1, bitorder="little").view("<i4")[:, 0]
    later = np.flatnonzero(first.k[1:])
    return first.chosen(first.k > 0).count(
        hash8(masks[later].astype(np.int64))
    )  # the original's int is signed
