"""Layout: the pieces and blocks cover the content once."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.peer import BLOCK_BYTES, Layout


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 100_000), st.integers(1, 500_000))
def test_blocks_cover_the_content_once(piece_length: int, total: int) -> None:
    layout = Layout(max(piece_length, total // 50 + 1), total)
    at = 0
    for index in range(layout.piece_count):
        for number in range(layout.block_count(index)):
            block = layout.block(index, number)
            assert index * layout.piece_length_bytes + block.begin == at
            assert 0 < block.length <= BLOCK_BYTES
            at += block.length
    assert at == total


def test_outside() -> None:
    for index in (-1, 3):
        with pytest.raises(IndexError):
            Layout(10, 30).piece_bytes(index)
