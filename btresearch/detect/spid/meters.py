"""SPID's attribute meters: each maps a session's measured packets to the bins (0..255) that it counts.

Re-stated from the behaviour of the SPID proof of concept 0.4.6 (Hjelmvik, 2010); the number of each
meter is its place in that release's alphabetical list. `k` is the index of a packet among all
payload-bearing packets of the session, both directions together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Bins = npt.NDArray[np.int64]

BINS = 256
HASH8_PRIME = 251
HASH4_PRIME = 13
FRAME_CAP_BYTES = 100  # meters 5 and 24 look at frame offsets below this
LENGTH_EXPONENT = math.log(128) / math.log(1500)
# The original mutates with the low byte of .NET's String.GetHashCode, which differs between
# runtimes; any constants serve a model that is trained with the same ones.
MUTATIONS = {True: (0x35, 0xA1), False: (0x5B, 0xE7)}

_BIT = np.arange(128, dtype=np.int64)
_EMPTY: Bins = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class Packet:
    """A measured packet: payload as captured, its length on the wire, and the frame bytes before it."""

    from_client: bool
    payload: bytes
    length_bytes: int
    header_bytes: int


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
    scaled = [min(127, int(packet.length_bytes**LENGTH_EXPONENT)) for packet in session]
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


# The fifteen meters that release 0.4.6 switches on by default; the release has 34 in all.
DEFAULT: dict[str, Meter] = {
    "AccumulatedDirectionBytesMeter": accumulated_direction_bytes,
    "ActionReactionFirst3ByteHashMeter": action_reaction_first_3_byte_hash,
    "ByteFrequencyMeter": byte_frequency,
    "ByteFrequencyOfFirstPacketBytesMeter": byte_frequency_of_first_packet_bytes,
    "BytePairsReocurringCountIn32FirstBytesMeter": byte_pairs_reoccurring_count,
    "ByteValueOffsetHashOfFirst32BytesInFirst4PacketsMeter": byte_value_offset_hash,
    "DirectionPacketLengthDistributionMeter": direction_packet_length_distribution,
    "First2OrderedFirstBitPositionsMeter": first_2_ordered_first_bit_positions,
    "First2PacketsFirst8ByteHashDirectionCountsMeter": first_2_packets_first_8_byte_hash_direction_counts,
    "First4OrderedDirectionFirstNByteNibblesMeter": first_4_ordered_direction_first_byte_nibbles,
    "First4PacketsByteFrequencyMeter": first_4_packets_byte_frequency,
    "First4PacketsFirst32BytesEqualityMeter": first_4_packets_first_32_bytes_equality,
    "FirstBitPositionsMeter": first_bit_positions,
    "FirstServerPacketFirstBitPositionsMeter": first_server_packet_first_bit_positions,
    "NibblePositionPopularityMeter": nibble_position_popularity,
}
SETS: dict[str, tuple[str, ...]] = {"default": tuple(DEFAULT)}
