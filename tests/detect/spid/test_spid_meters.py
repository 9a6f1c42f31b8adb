"""Each meter on sessions small enough to work out by hand: the plain restatement, and the batch that must equal it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from btresearch.detect.spid import hashes, lengths
from btresearch.detect.spid.hashes import MUTATIONS
from btresearch.detect.spid.meters import ALL, DEFAULT, REPAIRED, SETS, tallies
from tests.detect.spid import reference
from tests.detect.spid.batches import SESSIONS, batch, session
from tests.detect.spid.reference import METERS, Packet, Session, hash8, hash8_bytes, nibble_xor

NUMBERS = range(1, 35)
NAMES = dict(zip(NUMBERS, ALL, strict=True))
BACK_AND_FORTH = [(way, b"abc") for way in (1, -1) * 5]


def counted(number: int, sessions: list[Session]) -> list[list[int]]:
    return [np.bincount(METERS[number - 1](one), minlength=256).tolist() for one in sessions]


def bins_of(number: int, one: Session) -> list[int]:
    assert ALL[NAMES[number]](batch([one])).tolist() == counted(number, [one])
    return METERS[number - 1](one).tolist()


def bins(number: int, *messages: tuple[int, bytes]) -> list[int]:
    return bins_of(number, session(*messages))


def test_the_sets():
    assert [number for number in NUMBERS if NAMES[number] in DEFAULT] == [
        1, 2, 4, 5, 6, 9, 11, 14, 18, 21, 24, 27, 28, 30, 32,
    ]  # fmt: skip
    assert list(ALL) == sorted(ALL), "a meter's number is its place in the alphabetical list"
    assert (len(ALL), SETS["all"], SETS["default"]) == (34, tuple(ALL), DEFAULT)
    assert set(REPAIRED) <= set(ALL)


@settings(deadline=None, max_examples=60)
@given(sessions=SESSIONS)
def test_a_batch_counts_what_the_sessions_count_one_by_one(sessions):
    for number in NUMBERS:
        assert ALL[NAMES[number]](batch(sessions)).tolist() == counted(number, sessions), NAMES[number]


def test_a_batch_of_noise_equals_its_sessions():
    random = np.random.default_rng(6)
    noise = [
        session(
            *[(int(random.choice([1, -1])), random.bytes(int(random.integers(1, 1500)))) for _ in range(90)]
        )
        for _ in range(20)
    ]
    for number in NUMBERS:
        assert ALL[NAMES[number]](batch(noise)).tolist() == counted(number, noise), NAMES[number]


@pytest.mark.parametrize("number", NUMBERS)
def test_no_packets_one_byte_and_nothing_kept_are_no_error(number):
    assert ALL[NAMES[number]](batch([])).shape == (0, 256)
    assert len(bins(number, (1, b"x"))) <= 16
    assert len(bins_of(number, (Packet(True, b"", 10, 54), Packet(False, b"", 10, 54)))) <= 32


def test_tallies_come_in_the_order_of_the_set():
    packets = batch([session((1, b"abcd"), (-1, b"efgh"))])
    for name, counts in zip(SETS["all"], tallies(packets, "all"), strict=True):
        assert np.array_equal(counts, ALL[name](packets))
    assert len(list(tallies(packets))) == 15


def test_hashes():
    values = [0, 250, 251, 252, -1, -250, -251]
    assert [hash8(v) for v in values] == [0, 250, 0, 1, 255, 6, 0] == hashes.hash8(np.array(values)).tolist()
    assert hash8_bytes(b"") == 0
    assert hash8_bytes(b"\x01\x01") == (1 ^ 8) % 251
    assert hash8_bytes(b"\xff" * 3) == (0xFF ^ 0xFF << 3 ^ 0xFF << 6) % 251
    assert nibble_xor(0xA5) == 0xF and nibble_xor(0x0F) == 0xF and nibble_xor(0x33) == 0


@pytest.mark.parametrize(("bins_", "largest"), [(16, 1500), (32, 1500), (128, 1500), (32, 60_000_000)])
def test_compressed_scales_have_the_edges_of_the_formula(bins_, largest):
    edges = lengths._edges(bins_, largest)
    assert len(edges) == bins_ - 1
    for bin_, edge in enumerate(edges.tolist(), 1):
        assert reference._scale(edge - 1, bins_, largest) < bin_ <= reference._scale(edge, bins_, largest)


def test_1_accumulated_direction_bytes():
    assert bins(1, (1, b"a" * 63), (1, b"a"), (-1, b"a" * 640)) == [0, 1, 64 + 10]
    assert bins(1, *[(1, b"a" * 1400)] * 4) == [21, 43, 63]  # 4200 bytes are 65 chunks: then it is silent
    assert bins(1, *[(way, b"a" * 64) for way in (1, -1) * 4]) == [1, 65, 129, 193]


def test_2_action_reaction_mutates_in_place():
    first, second = bins(2, (1, b"abcd"), (-1, b"xyz"))[::3]
    assert first == hash8_bytes(b"abc")
    shift = sum(MUTATIONS[True])
    mutated = bytes((value - shift - 2 * i) % 256 for i, value in enumerate(b"abc"))
    assert second == hash8_bytes(mutated + b"xyz")


def test_2_action_reaction_counts_five_direction_changes():
    assert len(bins(2, *BACK_AND_FORTH)) == 15
    assert len(bins(2, (1, b"abc"), (1, b"def"))) == 3


def test_3_zeros_at_each_bit_position():
    # 0x01 and 0x03: bit 0 never zero, bit 1 zero once of two, the others always.
    assert bins(3, (1, b"\x01\x03")) == [0, 16 + 7, *[16 * bit + 15 for bit in range(2, 8)]]
    assert bins(3, (-1, b"\xff" * 40)) == [128 + 16 * bit for bit in range(8)]
    assert bins(3, (1, b"\xff" * 32 + b"\0" * 9))[0] == 0, "the 33rd byte does not count"
    assert len(bins(3, *[(1, b"a")] * 9)) == 8 * 8


def test_4_byte_frequency_covers_five_packets():
    assert bins(4, *[(1, bytes([k, k])) for k in range(6)]) == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


@pytest.mark.parametrize(("header_bytes", "counted_bytes"), [(54, 46), (66, 34), (0, 100), (120, 0)])
def test_5_and_24_stop_at_frame_offset_100(header_bytes, counted_bytes):
    long = session((1, b"a" * 200), header_bytes=header_bytes)
    assert bins_of(5, long) == [97] * counted_bytes
    assert bins_of(24, long) == [97 % 64] * counted_bytes


def test_6_7_and_8_recurring_pairs_carry_both_directions():
    messages = (1, b"abcd"), (-1, b"cdab"), (-1, b"xxcd")
    assert bins(6, *messages) == [28, 28 * 5 + 2, 28 * 8 + 1]
    cd, ab = 0x6364 % 251, 0x6162 % 251
    assert bins(7, *messages) == [cd, ab, cd]
    assert bins(8, *messages) == [28 * 5 + 0, 28 * 5 + 1, 28 * 8 + 1]


def test_7_counts_a_repeated_pair_once_and_8_each_time():
    messages = (1, b"abxx"), (1, b"abab")
    assert bins(6, *messages)[1] == 28 * 4 + 1
    assert bins(7, *messages) == [0x6162 % 251]
    assert bins(8, *messages) == [28 * 4, 28 * 4 + 1]
    assert bins(7, (1, b"xab"), (1, b"ab")) == [], "pairs are aligned"
    assert bins(8, (1, b"\0"), (1, b"\0\0")) == [], "half a pair is none"


def test_9_byte_value_offset_hash():
    assert bins(9, (1, b"\x05\x05")) == [5, (5 + 256) % 251]
    assert len(bins(9, *[(1, b"a" * 40)] * 5)) == 4 * 32


def test_10_byte_values_by_direction():
    assert bins(10, (1, b"\x01\x81\x7f"), (-1, b"\x01\xff")) == [1, 1, 127, 129, 255]
    assert len(bins(10, *[(1, b"a" * 101)] * 9)) == 8 * 100


@pytest.mark.parametrize(("length", "expected"), [(1, 1), (100, 21), (1448, 125), (1500, 127), (9000, 127)])
def test_11_lengths_on_a_compressed_scale(length, expected):
    [ours], [theirs] = (bins(11, (way, b"a" * length)) for way in (1, -1))
    assert (ours, theirs) == (pytest.approx(expected, abs=1), ours + 128)


def test_12_change_of_length_within_a_direction():
    assert bins(12, (1, b"a" * 10), (-1, b"a" * 5), (1, b"a" * 7), (-1, b"a" * 205)) == [
        10,
        128 + 5,
        3,
        128 + 200 % 128,
    ]


def test_13_words_of_four_digits_and_the_direction():
    words = (1, bytes([12, 3, 255, 9])), (-1, bytes([1, 23, 255, 77]))  # both 123255
    assert bins(13, *words) == [2 * 1_123_255 % 251, (2 * 1_123_255 + 1) % 251]
    assert bins(13, (1, b"\0\0\0\0\5")) == [2 * 10_000 % 251], "four digits are enough"
    assert bins(13, (1, b"\7"), (1, b"\0\7"), (1, b"\7")) == [2 * 17 % 251, 2 * 107 % 251]


def test_14_bits_lie_least_significant_first():
    found = bins(14, (1, b"\x01"), (-1, b"\x80"), (1, b"\xff"))
    assert found[:8] == [0, 65, 66, 67, 68, 69, 70, 71]
    assert found[8:] == [192, 193, 194, 195, 196, 197, 198, 128 + 7]


def test_15_nibbles_of_eight_bytes_of_two_packets():
    assert bins(15, (1, b"\xa5\x33"), (-1, b"\x0f"), (1, b"\x0f")) == [15, 16, 128 + 15]
    assert len(bins(15, (1, b"a" * 9))) == 8


def test_16_hash_counts_of_sixteen_bytes():
    # 0, 13 and 26 hash to 0; a count of 16 reaches into the hash's own bits.
    assert bins(16, (1, b"\x00\x0d\x1a\x01"))[:3] == [3, 16 ^ 1, 32]
    assert bins(16, (1, b"\x01" * 20))[:3] == [0, 16 ^ 16, 32]


def test_17_hash_of_three_bytes_with_the_length():
    assert bins(17, (1, b"\x00\x0d\x0e\x0f" + b"a" * 96)) == [5, 5, 16 + 5]  # 100 ** (ln 16 / ln 1500) = 5.7
    assert bins(17, (1, b"\x02")) == [2 << 4 | 1]
    assert bins(17, (1, b"\x02" * 1500), (1, b"\x02"), (1, b"\x02")) == [2 << 4 | 15] * 3 + [2 << 4 | 1]


def test_18_hash_counts_fold_the_direction_in():
    ours, theirs = bins(18, (1, b"\x00\x0d\x01")), bins(18, (-1, b"\x00" * 8))
    assert ours[:3] == [8 ^ 2, 16 ^ 8 ^ 1, 32 ^ 8] and len(ours) == 16
    assert theirs[0] == 8  # a count of eight flips the direction's bit


def test_19_distances_between_the_first_two_packets_of_a_direction():
    talk = (1, b"\x05\x00\xff"), (-1, b"ab"), (1, b"\x07\xff\xfe\x09\x01\x01"), (1, b"zzzzz"), (-1, b"ba")
    # Distances are capped at 127, and the first packet counts as padded with zeros.
    assert bins(19, *talk) == [2, 127, 1, 9, 1, 128 + 1, 128 + 1]
    assert bins(19, (1, b"a"), (-1, b"b")) == []


def test_20_nibbles_of_eight_bytes_by_direction():
    assert bins(20, (1, b"\xa5\x33"), (-1, b"\x0f")) == [128 + 15, 128 + 16, 15]
    assert len(bins(20, *[(1, b"a" * 9)] * 5)) == 4 * 8


def test_21_nibbles_of_the_first_two_bytes():
    assert bins(21, (1, b"\xa5\x33zz"), (-1, b"\x0f")) == [15, 16, 32 + 15 + 128]


@pytest.mark.parametrize(
    ("gap_ns", "as_released", "repaired"),
    [
        (0, 0, 0),  # below the smallest delay of 16
        (1_700, 2, 0),  # 17 ticks: 170 - 16 = 154; 154 ** 0.1935 = 2.65
        (17_000, 4, 1),  # 1700 - 16 = 1684: 4.21; 17 - 16 = 1 microsecond: 1
        (600_000_000, 31, 13),  # a wait of 0.6 s is already a minute: 599_984 ** 0.1935 = 13.1
        (60_000_000_000, 31, 31),
    ],
)
def test_22_delays_and_their_unit(gap_ns, as_released, repaired):
    one = (Packet(True, b"a", 1, 54), Packet(False, b"b", 1, 54, gap_ns))
    name = NAMES[22]
    first, second = bins_of(22, one)
    assert (first, second - 32 - 128) == (31, as_released), "the first packet reaches the top"
    found = reference.first_4_ordered_direction_delay_repaired(one)
    assert found[1] - 32 - 128 == repaired
    assert REPAIRED[name](batch([one])).tolist() == [np.bincount(found, minlength=256).tolist()]


def test_23_sizes_in_order():
    talk = (1, b"a"), (-1, b"a" * 100), (1, b"a" * 1500), (-1, b"a" * 1499), (1, b"a")
    # 100 ** (ln 32 / ln 1500) = 8.9; 1500 would reach 32.
    assert bins(23, *talk) == [1, 128 + 32 + 8, 64 + 31, 128 + 96 + 31]


def test_24_values_are_folded_to_64():
    assert bins(24, (1, b"\x41"), (1, b"\xff"), (1, b"\x00")) == [1, 64 + 63, 128]


def test_25_distance_to_the_same_byte():
    assert bins(25, (1, b"\x01\x02\x01\x01")) == [16 + 1, 16 + 0]
    assert bins(25, (1, b"\x0e" + b"\x02\x03" * 7 + b"\x04\x0e"))[-1] == 16 * (14 % 13) + 15, "sixteen back"
    assert bins(25, (1, bytes(range(17)) + b"\x00")) == [], "seventeen back"
    assert bins(25, *[(1, b"aa")] * 6) == [16 * (97 % 13)] * 4


def test_26_overlapping_pairs():
    assert bins(26, (1, b"abc"), (-1, b"a")) == [0x6162 % 251, 0x6263 % 251]
    assert len(bins(26, *[(1, b"a" * 40)] * 5)) == 4 * 16


def test_27_equal_offsets_as_a_signed_mask():
    assert bins(27, (1, b"a" * 32), (1, b"b" * 32)) == [0]
    assert bins(27, (1, b"a" * 32), (1, b"a" + b"b" * 31)) == [1]
    assert bins(27, (1, b"a" * 32), (-1, b"a" * 32)) == [hash8(-1)]
    # Short payloads are padded with zeros, which are equal too.
    assert bins(27, (1, b"a"), (1, b"b")) == [hash8(-2)]
    assert len(bins(27, *[(1, b"a")] * 6)) == 3


def test_28_and_30_bit_positions():
    everything = bins(28, (1, b"\x03"), (-1, b"\x00"))
    assert everything[:8] == [0, 1, *range(130, 136)] and everything[8:] == list(range(128, 136))
    assert bins(30, (1, b"\x03"), (-1, b"\x00"), (-1, b"\xff")) == list(range(128, 136))


def test_29_nibbles_of_the_first_packet_of_each_direction():
    talk = (-1, b"\xa5\x33"), (1, b"\x0f"), (1, b"zz"), (-1, b"zz")
    assert sorted(bins(29, *talk)) == [15, 128 + 15, 128 + 16]
    assert len(bins(29, (1, b"a" * 9))) == 8


def test_31_nibbles_by_position():
    assert bins(31, (1, b"\x12\x3f"), (-1, b"\x12")) == [1, 16 + 2, 32 + 3, 48 + 15, 1, 16 + 2]
    assert len(bins(31, *[(1, b"a" * 9)] * 9)) == 8 * 16


def test_32_popularity_ranks_against_earlier_packets():
    found = bins(32, (1, b"\x12"), (1, b"\x12"), (1, b"\x32"))
    assert found == [0, 8, 1, 8]  # the third packet's high nibble 3: one value was seen more often
    worst = [b"\x00", b"\x11", b"\x22", b"\x33", b"\x44", b"\x55", b"\x66", b"\xff"]
    assert bins(32, *[(1, head) for head in worst])[-2:] == [7, 8 + 7]
    assert bins(32, *[(1, b"\x00")] * 9)[-2:] == [0, 8], "the ninth packet does not count"


def test_33_length_modulo_256():
    assert bins(33, (1, b"a" * 255), (-1, b"a" * 256), (1, b"a" * 300)) == [255, 0, 44]


def test_34_divisors_of_two_lengths():
    # 6 has 2 and 3, 35 has 5 and 7, 210 all four; the packet before stands in the low half.
    assert bins(34, (1, b"a" * 6), (-1, b"a" * 35), (1, b"a" * 210), (1, b"a" * 11)) == [
        0x30,
        0xC0 | 0x3,
        0xF0 | 0xC,
        0xF,
    ]
