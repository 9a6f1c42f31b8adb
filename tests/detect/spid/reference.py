"""The 34 meters once more, session by session and packet by packet: slow, plain, and what the batches must equal.

`k` is the index of a packet among all payload-bearing packets of the session, both directions together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from btresearch.detect.spid.hashes import MUTATIONS

Bins = npt.NDArray[np.int64]

BINS = 256
HASH8_PRIME = 251
HASH4_PRIME = 13
FRAME_CAP_BYTES = 100  # meters 5 and 24 look at frame offsets below this

_BIT = np.arange(128, dtype=np.int64)
_EMPTY: Bins = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class Packet:
    """A measured packet: payload as captured, its length on the wire, and the frame bytes before it."""

    from_client: bool
    payload: bytes
    length_bytes: int
    header_bytes: int
    gap_ns: int = 0


Session = tuple[Packet, ...]
Meter = Callable[[Session], Bins]


def hash8(value: int) -> int:
    """Integer hash to 8 bits: C# remainder (keeps the sign), then lifted above zero."""
    remainder = int(math.fmod(value, HASH8_PRIME))
    return remainder if remainder >= 0 else remainder + BINS


def hash8_bytes(data: bytes) -> int:
    """Byte-string hash to 8 bits (for at most six bytes the rotation of the original has no effect)."""
    mixed = 0
    for i, value in enumerate(data):
        mixed ^= value << (3 * i)
    return mixed % HASH8_PRIME


def nibble_xor(value: int) -> int:
    """High nibble XOR low nibble."""
    return (value ^ value >> 4) & 15


def _array(data: bytes) -> Bins:
    return np.frombuffer(data, np.uint8).astype(np.int64)


def _bits(data: bytes) -> Bins:
    return np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little").astype(np.int64)


def _nibbles(data: bytes) -> Bins:
    values = _array(data)
    return np.column_stack([values >> 4, values & 15]).ravel()


def _join(parts: list[Bins]) -> Bins:
    return np.concatenate(parts) if parts else _EMPTY


def _ints(values: list[int]) -> Bins:
    return np.array(values, dtype=np.int64)


def _runs(session: Session) -> Iterator[tuple[int, Packet]]:
    """Each packet with the number of direction changes before it."""
    changes = 0
    for k, packet in enumerate(session):
        changes += k > 0 and packet.from_client != session[k - 1].from_client
        yield changes, packet


def accumulated_direction_bytes(session: Session) -> Bins:
    """Meter 1: bytes so far in each of the first four direction runs, in chunks of 64."""
    bins, seen = [], [0, 0, 0, 0]
    for run, packet in _runs(session):
        if run >= len(seen):
            break
        if seen[run] // 64 < 64:
            seen[run] += packet.length_bytes
            bins.append(64 * run + min(63, seen[run] // 64))
    return _ints(bins)


def action_reaction_first_3_byte_hash(session: Session) -> Bins:
    """Meter 2: hash of the first bytes on both sides of a direction change, plain and mutated twice.

    The mutation is done in place, so a triad enters the next comparison already mutated.
    """
    bins: list[int] = []
    heads: dict[bool, bytes] = {True: b"", False: b""}
    last = -1
    for run, packet in _runs(session):
        if run == last:
            continue
        if run >= 5:
            break
        last, mine = run, packet.from_client
        heads[mine] = packet.payload[:3]
        bins.append(hash8_bytes(heads[not mine] + heads[mine]))
        for salt in MUTATIONS[mine]:
            heads[not mine] = _shifted(heads[not mine], salt, 1)
            heads[mine] = _shifted(heads[mine], salt, -1)
            bins.append(hash8_bytes(heads[not mine] + heads[mine]))
    return _ints(bins)


def _shifted(head: bytes, salt: int, sign: int) -> bytes:
    return bytes((value + sign * (salt + i)) % 256 for i, value in enumerate(head))


def byte_frequency(session: Session) -> Bins:
    """Meter 4: every byte of the first five packets."""
    return _array(b"".join(packet.payload for packet in session[:5]))


def _capped(packet: Packet) -> bytes:
    return packet.payload[: max(0, FRAME_CAP_BYTES - packet.header_bytes)]


def byte_frequency_of_first_packet_bytes(session: Session) -> Bins:
    """Meter 5: bytes of the first eight packets while the frame offset is below 100."""
    return _array(b"".join(_capped(packet) for packet in session[:8]))


def _pairs(data: bytes) -> set[bytes]:
    return {data[i : i + 2] for i in range(0, min(32, len(data)) - 1, 2)}


def byte_pairs_reoccurring_count(session: Session) -> Bins:
    """Meter 6: how many aligned byte pairs of the first 32 bytes the previous packet had too."""
    bins = []
    previous, before = 0, set[bytes]()
    for packet in session:
        current, pairs = (1 if packet.from_client else 2), _pairs(packet.payload)
        bins.append(28 * (3 * previous + current) + min(27, len(pairs & before)))
        previous, before = current, pairs
    return _ints(bins)


def byte_value_offset_hash(session: Session) -> Bins:
    """Meter 9: hash of value and offset for the first 32 bytes of the first four packets."""
    heads = [_array(packet.payload[:32]) for packet in session[:4]]
    return _join([(head + 256 * _BIT[: len(head)]) % HASH8_PRIME for head in heads])


def direction_packet_length_distribution(session: Session) -> Bins:
    """Meter 11: packet length on a compressed scale, apart by direction."""
    scaled = [_scale(packet.length_bytes, 128, 1500) for packet in session]
    return _ints([bin_ + (0 if p.from_client else 128) for bin_, p in zip(scaled, session, strict=True)])


def first_2_ordered_first_bit_positions(session: Session) -> Bins:
    """Meter 14: the bits of the first 8 bytes of each of the first two packets."""
    bits = [_bits(packet.payload[:8]) for packet in session[:2]]
    return _join([128 * k + 64 * (1 - b) + _BIT[: len(b)] for k, b in enumerate(bits)])


def first_2_packets_first_8_byte_hash_direction_counts(session: Session) -> Bins:
    """Meter 18: how often each 4-bit hash occurs in the first 8 bytes of the first two packets."""
    bins = []
    for packet in session[:2]:
        hashes = [value % HASH4_PRIME for value in packet.payload[:8]]
        way = 8 if packet.from_client else 0
        bins += [h << 4 ^ way ^ hashes.count(h) for h in range(16)]
    return _ints(bins)


def first_4_ordered_direction_first_byte_nibbles(session: Session) -> Bins:
    """Meter 21: folded nibbles of the first two bytes of the first four packets."""
    return _ints(
        [
            32 * k + 16 * offset + nibble_xor(value) + (0 if packet.from_client else 128)
            for k, packet in enumerate(session[:4])
            for offset, value in enumerate(packet.payload[:2])
        ]
    )


def first_4_packets_byte_frequency(session: Session) -> Bins:
    """Meter 24: byte values modulo 64 in each of the first four packets, frame offset below 100."""
    return _join([_array(_capped(packet)) % 64 + 64 * k for k, packet in enumerate(session[:4])])


def first_4_packets_first_32_bytes_equality(session: Session) -> Bins:
    """Meter 27: hash of the mask of offsets where a packet equals the one before it."""
    heads = [packet.payload[:32].ljust(32, b"\0") for packet in session[:4]]
    return _ints([hash8(_equality_mask(a, b)) for a, b in pairwise(heads)])


def _equality_mask(a: bytes, b: bytes) -> int:
    mask = sum(1 << i for i in range(32) if a[i] == b[i])
    return mask - (1 << 32) if mask >> 31 else mask  # the original's int is signed


def _first_bits(data: bytes) -> Bins:
    bits = _bits(data[:16])
    return _BIT[: len(bits)] + 128 * (1 - bits)


def first_bit_positions(session: Session) -> Bins:
    """Meter 28: the bits of the first 16 bytes of the first eight packets."""
    return _join([_first_bits(packet.payload) for packet in session[:8]])


def first_server_packet_first_bit_positions(session: Session) -> Bins:
    """Meter 30: as meter 28, of the first packet from the server only."""
    return _join([_first_bits(packet.payload) for packet in session if not packet.from_client][:1])


def nibble_position_popularity(session: Session) -> Bins:
    """Meter 32: how many nibble values earlier packets had more often at the same position (KISS)."""
    tally = np.zeros((32, 16), dtype=np.int64)
    ranks = []
    for k, packet in enumerate(session[:8]):
        nibbles = _nibbles(packet.payload[:16])
        position = _BIT[: len(nibbles)]
        if k:
            mine = tally[position, nibbles]
            ranks.append(8 * position + (tally[position] > mine[:, None]).sum(axis=1))
        tally[position, nibbles] += 1
    return _join(ranks)


def _scale(value: int, bins: int, largest: int) -> int:
    return min(bins - 1, int(max(0, value) ** (math.log(bins) / math.log(largest))))


def hash4(value: int) -> int:
    """Integer hash to 4 bits, of a byte."""
    return value % HASH4_PRIME


def byte_bit_value(session: Session) -> Bins:
    """Meter 3."""
    bins = []
    for packet in session[:8]:
        head = packet.payload[:32]
        for bit in range(8) if head else ():
            zeros = sum(not value >> bit & 1 for value in head)
            bins.append(16 * (bit + (0 if packet.from_client else 8)) + 15 * zeros // len(head))
    return _ints(bins)


def _aligned(packet: Packet) -> list[int]:
    data = packet.payload[:32]
    return [data[i] << 8 | data[i + 1] for i in range(0, len(data) - 1, 2)]


def byte_pairs_reoccurring(session: Session) -> Bins:
    """Meter 7."""
    pairs = [_aligned(packet) for packet in session]
    return _ints([hash8(pair) for a, b in pairwise(pairs) for pair in dict.fromkeys(b) if pair in a])


def byte_pairs_reoccurring_offsets(session: Session) -> Bins:
    """Meter 8."""
    bins = []
    for a, b in pairwise(session):
        ways = 3 * (1 if a.from_client else 2) + (1 if b.from_client else 2)
        bins += [28 * ways + min(27, i) for i, pair in enumerate(_aligned(b)) if pair in _aligned(a)]
    return _ints(bins)


def direction_byte_frequency(session: Session) -> Bins:
    """Meter 10."""
    return _ints([v % 128 + (0 if p.from_client else 128) for p in session[:8] for v in p.payload[:100]])


def direction_packet_size_change(session: Session) -> Bins:
    """Meter 12."""
    bins, before = [], {True: 0, False: 0}
    for packet in session:
        change = abs(packet.length_bytes - before[packet.from_client]) % 128
        bins.append(change + (0 if packet.from_client else 128))
        before[packet.from_client] = packet.length_bytes
    return _ints(bins)


def first_2_ordered_first_4_char_words(session: Session) -> Bins:
    """Meter 13."""
    bins = []
    for packet in session[:2]:
        word = ""
        for value in packet.payload:
            if len(word) >= 4:
                break
            word += str(value)
        bins.append(hash8(2 * int("1" + word) + (0 if packet.from_client else 1)))
    return _ints(bins)


def _folded(packet: Packet, width: int) -> list[int]:
    return [16 * i + nibble_xor(value) for i, value in enumerate(packet.payload[:width])]


def first_2_ordered_first_byte_nibbles(session: Session) -> Bins:
    """Meter 15."""
    return _ints([128 * k + bin_ for k, packet in enumerate(session[:2]) for bin_ in _folded(packet, 8)])


def first_2_packets_first_16_byte_hash_counts(session: Session) -> Bins:
    """Meter 16."""
    bins = []
    for packet in session[:2]:
        hashes = [hash4(value) for value in packet.payload[:16]]
        bins += [h << 4 ^ hashes.count(h) for h in range(16)]
    return _ints(bins)


def first_2_packets_first_3_byte_hash_and_length(session: Session) -> Bins:
    """Meter 17."""
    return _ints(
        [
            16 * hash4(value) + _scale(packet.length_bytes, 16, 1500)
            for packet in session[:2]
            for value in packet.payload[:3]
        ]
    )


def first_2_per_direction_first_5_byte_differences(session: Session) -> Bins:
    """Meter 19."""
    bins = []
    for way, place in ((True, 0), (False, 128)):
        heads = [packet.payload[:5] for packet in session if packet.from_client is way][:2]
        if len(heads) == 2:
            first = heads[0].ljust(5, b"\0")
            bins += [place + min(127, abs(a - b)) for a, b in zip(first, heads[1], strict=False)]
    return _ints(bins)


def first_4_direction_first_byte_nibbles(session: Session) -> Bins:
    """Meter 20."""
    return _ints([bin_ + (128 if p.from_client else 0) for p in session[:4] for bin_ in _folded(p, 8)])


def _delays(session: Session, unit: Callable[[int], int]) -> Bins:
    return _ints(
        [
            32 * k + (_scale(unit(p.gap_ns) - 16, 32, 6 * 10**7) if k else 31) + (0 if p.from_client else 128)
            for k, p in enumerate(session[:4])
        ]
    )


def first_4_ordered_direction_delay(session: Session) -> Bins:
    """Meter 22."""
    return _delays(session, lambda gap_ns: 10 * (gap_ns // 100))


def first_4_ordered_direction_delay_repaired(session: Session) -> Bins:
    """Meter 22, in microseconds."""
    return _delays(session, lambda gap_ns: gap_ns // 1000)


def first_4_ordered_direction_packet_size(session: Session) -> Bins:
    """Meter 23."""
    return _ints(
        [
            32 * k + _scale(packet.length_bytes, 32, 1500) + (0 if packet.from_client else 128)
            for k, packet in enumerate(session[:4])
        ]
    )


def first_4_packets_byte_reoccurring_distance(session: Session) -> Bins:
    """Meter 25."""
    bins = []
    for packet in session[:4]:
        last: dict[int, int] = {}
        for i, value in enumerate(packet.payload[:32]):
            if i - last.get(value, -99) <= 16:
                bins.append(16 * hash4(value) + i - last[value] - 1)
            last[value] = i
    return _ints(bins)


def first_4_packets_first_16_byte_pairs(session: Session) -> Bins:
    """Meter 26."""
    return _ints([hash8(a << 8 | b) for packet in session[:4] for a, b in pairwise(packet.payload[:17])])


def first_packet_per_direction_first_byte_nibbles(session: Session) -> Bins:
    """Meter 29."""
    bins = []
    for way, place in ((True, 0), (False, 128)):
        for packet in [packet for packet in session if packet.from_client is way][:1]:
            bins += [place + bin_ for bin_ in _folded(packet, 8)]
    return _ints(bins)


def nibble_position_frequency(session: Session) -> Bins:
    """Meter 31."""
    heads = [_nibbles(packet.payload[:8]) for packet in session[:8]]
    return _join([16 * _BIT[: len(head)] + head for head in heads])


def packet_length_distribution(session: Session) -> Bins:
    """Meter 33."""
    return _ints([packet.length_bytes % 256 for packet in session])


def packet_pair_length_primes(session: Session) -> Bins:
    """Meter 34."""
    bins, before = [], 0
    for packet in session:
        flags = sum(1 << i for i, prime in enumerate((2, 3, 5, 7)) if packet.length_bytes % prime == 0)
        bins.append(16 * flags + before)
        before = flags
    return _ints(bins)


METERS: tuple[Meter, ...] = (
    accumulated_direction_bytes,
    action_reaction_first_3_byte_hash,
    byte_bit_value,
    byte_frequency,
    byte_frequency_of_first_packet_bytes,
    byte_pairs_reoccurring_count,
    byte_pairs_reoccurring,
    byte_pairs_reoccurring_offsets,
    byte_value_offset_hash,
    direction_byte_frequency,
    direction_packet_length_distribution,
    direction_packet_size_change,
    first_2_ordered_first_4_char_words,
    first_2_ordered_first_bit_positions,
    first_2_ordered_first_byte_nibbles,
    first_2_packets_first_16_byte_hash_counts,
    first_2_packets_first_3_byte_hash_and_length,
    first_2_packets_first_8_byte_hash_direction_counts,
    first_2_per_direction_first_5_byte_differences,
    first_4_direction_first_byte_nibbles,
    first_4_ordered_direction_first_byte_nibbles,
    first_4_ordered_direction_delay,
    first_4_ordered_direction_packet_size,
    first_4_packets_byte_frequency,
    first_4_packets_byte_reoccurring_distance,
    first_4_packets_first_16_byte_pairs,
    first_4_packets_first_32_bytes_equality,
    first_bit_positions,
    first_packet_per_direction_first_byte_nibbles,
    first_server_packet_first_bit_positions,
    nibble_position_frequency,
    nibble_position_popularity,
    packet_length_distribution,
    packet_pair_length_primes,
)
