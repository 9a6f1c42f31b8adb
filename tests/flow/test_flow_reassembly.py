"""TCP stream reassembly: order, overlap, wrap, gaps, bounds."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.flow import reassembly
from btresearch.flow.reassembly import Chunk, Reassembly


def taken(chunks: tuple[Chunk, ...]) -> bytes:
    return b"".join(chunk.data for chunk in chunks)


def started(isn: int = 99) -> Reassembly:
    stream = Reassembly()
    stream.syn(isn)
    return stream


def test_bytes_in_order_come_out_at_once() -> None:
    stream = started()
    assert stream.segment(100, b"abc", 3, 5) == (Chunk(5, b"abc", 0),)
    assert stream.segment(103, b"de", 2, 6) == (Chunk(6, b"de", 0),)
    assert stream.retransmitted == stream.out_of_order == stream.gap_bytes == 0


def test_a_filled_hole_releases_what_waited_with_the_fillers_time() -> None:
    stream = started()
    assert stream.segment(103, b"de", 2, 1) == ()
    chunks = stream.segment(100, b"abc", 3, 2)
    assert taken(chunks) == b"abcde"
    assert [chunk.t_ns for chunk in chunks] == [2, 2]
    assert (stream.out_of_order, stream.retransmitted) == (1, 0)


def test_retransmissions_are_counted_and_bring_nothing() -> None:
    stream = started()
    stream.segment(100, b"abc", 3, 1)
    assert stream.segment(100, b"abc", 3, 2) == ()
    stream.segment(105, b"f", 1, 3)
    assert stream.segment(105, b"f", 1, 4) == ()  # of a segment that still waits
    assert stream.segment(99, b"\0", 1, 5) == ()  # a keep-alive
    assert stream.retransmitted == 3


def test_a_retransmission_with_more_data_brings_the_rest() -> None:
    stream = started()
    stream.segment(100, b"abc", 3, 1)
    assert taken(stream.segment(101, b"BCde", 4, 2)) == b"de"
    assert (stream.retransmitted, stream.out_of_order) == (0, 0)


def test_of_overlapping_bytes_the_first_win() -> None:
    stream = started()
    stream.segment(102, b"cd", 2, 1)
    stream.segment(106, b"gh", 2, 2)
    assert taken(stream.segment(100, b"ABXXEFYY", 8, 3)) == b"ABcdEFgh"


def test_sequence_numbers_wrap() -> None:
    stream = started(0xFFFF_FFFD)
    assert taken(stream.segment(0xFFFF_FFFE, b"abcd", 4, 1)) == b"abcd"
    assert taken(stream.segment(2, b"ef", 2, 2)) == b"ef"


def test_a_stream_joined_in_its_middle_starts_with_the_first_segment() -> None:
    stream = Reassembly()
    assert taken(stream.segment(5000, b"ab", 2, 1)) == b"ab"
    assert stream.segment(4990, b"old", 3, 2) == ()


def test_a_hole_that_never_fills_is_a_gap_at_the_end() -> None:
    stream = started()
    stream.segment(100, b"a", 1, 1)
    stream.segment(105, b"f", 1, 7)
    assert stream.flush() == (Chunk(1, b"", 4), Chunk(7, b"f", 0))
    assert stream.gap_bytes == 4


def test_a_fin_shows_what_lacks_before_it() -> None:
    stream = started()
    stream.segment(100, b"a", 1, 1)
    stream.fin(111)
    assert stream.flush() == (Chunk(1, b"", 10),)


def test_a_snap_length_cut_is_a_gap() -> None:
    stream = started()
    assert stream.segment(100, b"ab", 10, 1) == (Chunk(1, b"ab", 8),)
    assert stream.segment(115, b"cd", 5, 2) == ()
    assert stream.segment(110, b"x", 5, 3) == (Chunk(3, b"x", 4), Chunk(3, b"cd", 3))
    assert stream.gap_bytes == 15


@pytest.mark.parametrize("bound", ["MAX_PENDING_BYTES", "MAX_PENDING"])
def test_a_hole_is_given_up_when_too_much_waits_behind_it(
    monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(reassembly, bound, 3)
    stream = started()
    found = [stream.segment(110 + 2 * i, b"x", 1, i) for i in range(5)]
    assert [bool(chunks) for chunks in found] == [False, False, False, True, True]
    assert found[3][0] == Chunk(0, b"", 10)
    assert stream.gap_bytes >= 10


def test_a_sequence_number_beyond_any_window_is_set_aside() -> None:
    stream = started()
    assert stream.segment(100 + (1 << 30) + 1, b"x", 1, 1) == ()
    assert stream.out_of_window == 1
    assert taken(stream.segment(100, b"a", 1, 2)) == b"a"


@settings(deadline=None, max_examples=80)
@given(
    st.binary(min_size=1, max_size=400),
    st.integers(0, 2**32 - 1),
    st.integers(1, 60),
    st.randoms(use_true_random=False),
)
def test_any_segmentation_order_and_repetition_gives_the_stream(
    data: bytes, isn: int, longest: int, rng: random.Random
) -> None:
    cuts, at = [], 0
    while at < len(data):
        size = rng.randint(1, longest)
        cuts.append((at, data[at : at + size]))
        at += size
    overlapping = [(at, data[at : at + longest]) for at in (rng.randrange(len(data)) for _ in range(4))]
    segments = cuts + overlapping + rng.sample(cuts, min(len(cuts), 3))
    rng.shuffle(segments)
    stream, out = started(isn), b""
    for t_ns, (offset, part) in enumerate(segments):
        out += taken(stream.segment((isn + 1 + offset) % 2**32, part, len(part), t_ns))
    assert out == data
    assert stream.flush() == ()
    assert stream.gap_bytes == 0
