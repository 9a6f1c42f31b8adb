"""SPID's 34 attribute meters: each maps the measured packets of many sessions to counters of 256 bins.

Re-stated from the behaviour of the SPID proof of concept 0.4.6 (Hjelmvik, 2010); the number of each
meter is its place in that release's alphabetical list. A meter is a pure function of the packets, so
that it can be read, tested and left out on its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from btresearch.detect.spid import bits, hashes, lengths, nibbles, pairs, values
from btresearch.detect.spid.packets import Counts, Packets

Meter = Callable[[Packets], Counts]

ALL: dict[str, Meter] = {
    "AccumulatedDirectionBytesMeter": lengths.accumulated_direction_bytes,
    "ActionReactionFirst3ByteHashMeter": hashes.action_reaction_first_3_byte_hash,
    "ByteBitValueMeter": bits.byte_bit_value,
    "ByteFrequencyMeter": values.byte_frequency,
    "ByteFrequencyOfFirstPacketBytesMeter": values.byte_frequency_of_first_packet_bytes,
    "BytePairsReocurringCountIn32FirstBytesMeter": pairs.recurring_count,
    "BytePairsReocurringIn32FirstBytesMeter": pairs.recurring,
    "BytePairsReocurringOffsetsIn32FirstBytesMeter": pairs.recurring_offsets,
    "ByteValueOffsetHashOfFirst32BytesInFirst4PacketsMeter": hashes.byte_value_offset_hash,
    "DirectionByteFrequencyMeter": values.direction_byte_frequency,
    "DirectionPacketLengthDistributionMeter": lengths.direction_packet_length,
    "DirectionPacketSizeChange": lengths.direction_packet_size_change,
    "First2OrderedFirst4CharWordsMeter": hashes.first_2_first_4_char_words,
    "First2OrderedFirstBitPositionsMeter": bits.first_2_first_bit_positions,
    "First2OrderedPacketsFirstNByteNibblesMeter": nibbles.first_2_first_byte_nibbles,
    "First2PacketsFirst16ByteHashCountsMeter": hashes.first_2_first_16_byte_hash_counts,
    "First2PacketsFirst3ByteHashAndPacketLengthMeter": hashes.first_2_first_3_byte_hash_and_length,
    "First2PacketsFirst8ByteHashDirectionCountsMeter": hashes.first_2_first_8_byte_hash_direction_counts,
    "First2PacketsPerDirectionFirst5BytesDifferencesMeter": values.first_2_per_direction_first_5_byte_differences,
    "First4DirectionFirstNByteNibblesMeter": nibbles.first_4_direction_first_byte_nibbles,
    "First4OrderedDirectionFirstNByteNibblesMeter": nibbles.first_4_ordered_direction_first_byte_nibbles,
    "First4OrderedDirectionInterPacketDelayMeter": lengths.first_4_direction_delay,
    "First4OrderedDirectionPacketSizeMeter": lengths.first_4_direction_packet_size,
    "First4PacketsByteFrequencyMeter": values.first_4_byte_frequency,
    "First4PacketsByteReoccurringDistanceWithByteHashMeter": hashes.first_4_recurring_distance_with_byte_hash,
    "First4PacketsFirst16BytePairsMeter": pairs.first_4_first_16_byte_pairs,
    "First4PacketsFirst32BytesEqualityMeter": hashes.first_4_first_32_bytes_equality,
    "FirstBitPositionsMeter": bits.first_bit_positions,
    "FirstPacketPerDirectionFirstNByteNibblesMeter": nibbles.first_per_direction_first_byte_nibbles,
    "FirstServerPacketFirstBitPositionsMeter": bits.first_server_packet_first_bit_positions,
    "NibblePositionFrequencyMeter": nibbles.nibble_position_frequency,
    "NibblePositionPopularityMeter": nibbles.nibble_position_popularity,
    "PacketLengthDistributionMeter": lengths.packet_length,
    "PacketPairLengthPrimesMeter": lengths.packet_pair_length_primes,
}

# What the release gets wrong within a meter. (Its other quirks lie in the choice of packets.)
REPAIRED: dict[str, Meter] = {
    "First4OrderedDirectionInterPacketDelayMeter": lengths.first_4_direction_delay_in_microseconds,
}

# The meters that release 0.4.6 switches on.
DEFAULT = tuple(
    name
    for number, name in enumerate(ALL, 1)
    if number in {1, 2, 4, 5, 6, 9, 11, 14, 18, 21, 24, 27, 28, 30, 32}
)
SETS: dict[str, tuple[str, ...]] = {"default": DEFAULT, "all": tuple(ALL)}
# The release's default, and the middle of the 2.2 to 2.3 that it recommends when every meter is on.
THRESHOLDS_BITS = {"default": 2.04, "all": 2.25}


def tallies(packets: Packets, meters: str = "default", *, faithful: bool = True) -> Iterator[Counts]:
    """The counters of each meter of the set in turn: shape (sessions, 256) each."""
    for name in SETS[meters]:
        meter = ALL[name] if faithful else REPAIRED.get(name, ALL[name])
        yield meter(packets)
