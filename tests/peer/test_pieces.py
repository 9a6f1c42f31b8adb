"""PieceSet and its wire form."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.peer import PieceSet, RemoteProtocolError


def test_bit_order_of_bep_3() -> None:
    # "the high bit in the first byte corresponds to piece index 0"
    assert PieceSet(10, [0, 9]).pack() == b"\x80\x40"


@settings(deadline=None, max_examples=100)
@given(st.sets(st.integers(0, 99)), st.integers(100, 130))
def test_round_trip(have: set[int], piece_count: int) -> None:
    pieces = PieceSet(piece_count, have)
    again = PieceSet.unpack(pieces.pack(), piece_count)
    assert again == pieces
    assert set(again) == have
    assert again.count == len(again) == len(have)
    assert set(again.missing()) == set(range(piece_count)) - have


@pytest.mark.parametrize(("bits", "piece_count"), [(b"", 1), (b"\x00", 0), (b"\x00\x00", 8), (b"\x01", 7)])
def test_refused(bits: bytes, piece_count: int) -> None:
    with pytest.raises(RemoteProtocolError):
        PieceSet.unpack(bits, piece_count)


def test_nothing_at_all() -> None:
    assert PieceSet(0).pack() == b""
    assert PieceSet.unpack(b"", 0) == PieceSet(0)


def test_membership_and_counting() -> None:
    pieces = PieceSet(3)
    assert pieces.add(1)
    assert not pieces.add(1)
    assert (0 in pieces, 1 in pieces, -1 in pieces, 3 in pieces) == (False, True, False, False)
    twin = pieces.copy()
    pieces.discard(1)
    pieces.discard(1)
    assert (pieces.count, twin.count) == (0, 1)
    assert PieceSet.full(3).complete
    for index in (-1, 3):
        with pytest.raises(IndexError):
            pieces.add(index)
