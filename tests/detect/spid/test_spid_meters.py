"""Each default meter on sessions small enough to work out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from btresearch.detect.spid import meters
from btresearch.detect.spid.meters import DEFAULT, MUTATIONS, Packet, hash8, hash8_bytes, nibble_xor


def session(*messages: tuple[int, bytes], header_bytes: int = 54) -> tuple[Packet, ...]:
    return tuple(Packet(way > 0, payload, len(payload), header_bytes) for way, payload in messages)


def bins(meter: meters.Meter, *messages: tuple[int, bytes]) -> list[int]:
    return meter(session(*messages)).tolist()


def test_there_are_fifteen_default_meters():
    assert len(DEFAULT) == 15


def test_every_meter_stays_within_its_256_bins():
    random = np.random.default_rng(6)
    noise = [(int(random.choice([1, -1])), random.bytes(int(random.integers(1, 1500)))) for _ in range(60)]
    for start in range(0, 60, 20):
        for name, meter in DEFAULT.items():
            found = meter(session(*noise[start : start + 20]))
            assert found.dtype == np.int64 and ((found >= 0) & (found < 256)).all(), name


@pytest.mark.parametrize("meter", DEFAULT.values(), ids=DEFAULT)
def test_empty_sessions_and_one_byte_are_no_error(meter):
    assert meter(()).tolist() == []
    assert len(meter(session((1, b"x")))) <= 16


def test_hashes():
    assert [hash8(v) for v in (0, 250, 251, 252, -1, -250, -251)] == [0, 250, 0, 1, 255, 6, 0]
    assert hash8_bytes(b"") == 0
    assert hash8_bytes(b"\x01\x01") == (1 ^ 8) % 251
    assert hash8_bytes(b"\xff" * 3) == (0xFF ^ 0xFF << 3 ^ 0xFF << 6) % 251
    assert nibble_xor(0xA5) == 0xF and nibble_xor(0x0F) == 0xF and nibble_xor(0x33) == 0


def test_1_accumulated_direction_bytes():
    meter = meters.accumulated_direction_bytes
    assert bins(meter, (1, b"a" * 63), (1, b"a"), (-1, b"a" * 640)) == [0, 1, 64 + 10]
    assert bins(meter, *[(1, b"a" * 1400)] * 4) == [21, 43, 63, 63][:3]  # 4200 bytes: 65 chunks, then silent
    assert bins(meter, *[(way, b"a" * 64) for way in (1, -1) * 4]) == [1, 65, 129, 193]


def test_2_action_reaction_mutates_in_place():
    first, second = bins(meters.action_reaction_first_3_byte_hash, (1, b"abcd"), (-1, b"xyz"))[::3]
    assert first == hash8_bytes(b"abc")
    shift = sum(MUTATIONS[True])
    mutated = bytes((value - shift - 2 * i) % 256 for i, value in enumerate(b"abc"))
    assert second == hash8_bytes(mutated + b"xyz")


def test_2_action_reaction_counts_five_direction_changes():
    meter = meters.action_reaction_first_3_byte_hash
    assert len(bins(meter, *[(way, b"abc") for way in (1, -1) * 5])) == 15
    assert len(bins(meter, (1, b"abc"), (1, b"def"))) == 3


def test_4_byte_frequency_covers_five_packets():
    assert bins(meters.byte_frequency, *[(1, bytes([k, k])) for k in range(6)]) == [
        0,
        0,
        1,
        1,
        2,
        2,
        3,
        3,
        4,
        4,
    ]


@pytest.mark.parametrize(("header_bytes", "counted"), [(54, 46), (66, 34), (0, 100), (120, 0)])
def test_5_and_24_stop_at_frame_offset_100(header_bytes, counted):
    long = session((1, b"a" * 200), header_bytes=header_bytes)
    assert len(meters.byte_frequency_of_first_packet_bytes(long)) == counted
    assert len(meters.first_4_packets_byte_frequency(long)) == counted


def test_6_reoccurring_pairs_carry_both_directions():
    meter = meters.byte_pairs_reoccurring_count
    assert bins(meter, (1, b"abcd"), (-1, b"cdab"), (-1, b"xxcd")) == [28, 28 * 5 + 2, 28 * 8 + 1]


def test_9_byte_value_offset_hash():
    assert bins(meters.byte_value_offset_hash, (1, b"\x05\x05")) == [5, (5 + 256) % 251]
    assert len(bins(meters.byte_value_offset_hash, *[(1, b"a" * 40)] * 5)) == 4 * 32


@pytest.mark.parametrize(("length", "expected"), [(1, 1), (100, 21), (1448, 125), (1500, 127), (9000, 127)])
def test_11_lengths_on_a_compressed_scale(length, expected):
    [ours], [theirs] = (
        bins(meters.direction_packet_length_distribution, (way, b"a" * length)) for way in (1, -1)
    )
    assert (ours, theirs) == (pytest.approx(expected, abs=1), ours + 128)


def test_14_bits_lie_least_significant_first():
    found = bins(meters.first_2_ordered_first_bit_positions, (1, b"\x01"), (-1, b"\x80"), (1, b"\xff"))
    assert found[:8] == [0, 65, 66, 67, 68, 69, 70, 71]
    assert found[8:] == [192, 193, 194, 195, 196, 197, 198, 128 + 7]


def test_18_hash_counts_fold_the_direction_in():
    ours = bins(meters.first_2_packets_first_8_byte_hash_direction_counts, (1, b"\x00\x0d\x01"))
    theirs = bins(meters.first_2_packets_first_8_byte_hash_direction_counts, (-1, b"\x00" * 8))
    assert ours[:3] == [8 ^ 2, 16 ^ 8 ^ 1, 32 ^ 8] and len(ours) == 16
    assert theirs[0] == 8  # a count of eight flips the direction's bit


def test_21_nibbles_of_the_first_two_bytes():
    found = bins(meters.first_4_ordered_direction_first_byte_nibbles, (1, b"\xa5\x33zz"), (-1, b"\x0f"))
    assert found == [15, 16, 32 + 15 + 128]


def test_24_values_are_folded_to_64():
    found = bins(meters.first_4_packets_byte_frequency, (1, b"\x41"), (1, b"\xff"), (1, b"\x00"))
    assert found == [1, 64 + 63, 128]


def test_27_equal_offsets_as_a_signed_mask():
    meter = meters.first_4_packets_first_32_bytes_equality
    assert bins(meter, (1, b"a" * 32), (1, b"b" * 32)) == [0]
    assert bins(meter, (1, b"a" * 32), (1, b"a" + b"b" * 31)) == [1]
    assert bins(meter, (1, b"a" * 32), (-1, b"a" * 32)) == [hash8(-1)]
    # Short payloads are padded with zeros, which are equal too.
    assert bins(meter, (1, b"a"), (1, b"b")) == [hash8(-2)]
    assert len(bins(meter, *[(1, b"a")] * 6)) == 3


def test_28_and_30_bit_positions():
    everything = bins(meters.first_bit_positions, (1, b"\x03"), (-1, b"\x00"))
    assert everything[:8] == [0, 1, *range(130, 136)] and everything[8:] == list(range(128, 136))
    server = bins(meters.first_server_packet_first_bit_positions, (1, b"\x03"), (-1, b"\x00"), (-1, b"\xff"))
    assert server == list(range(128, 136))


def test_32_popularity_ranks_against_earlier_packets():
    found = bins(meters.nibble_position_popularity, (1, b"\x12"), (1, b"\x12"), (1, b"\x32"))
    assert found == [0, 8, 1, 8]  # the third packet's high nibble 3: one value was seen more often
