"""What a peer has, before and after the number of pieces is known."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.peer import PieceSet, RemoteProtocolError
from btresearch.peer.info import MAX_PIECES
from btresearch.peer.remote import RemotePieces

announcements = st.lists(st.integers(0, 19), max_size=10)


@settings(deadline=None, max_examples=100)
@given(st.none() | st.sets(st.integers(0, 19)), announcements, announcements, st.booleans())
def test_early_and_late_announcements_add_up(
    field: set[int] | None, early: list[int], late: list[int], known_before: bool
) -> None:
    remote = RemotePieces()
    if known_before:
        remote.settle(20)
    if field is not None:
        remote.unpack(PieceSet(20, field).pack())
    for index in early:
        remote.add(index)
    if not known_before:
        assert remote.known is None
        remote.settle(20)
    for index in late:
        remote.add(index)
    assert remote.known is not None
    assert set(remote.known) == (field or set()) | set(early) | set(late)


def test_a_seed_is_a_seed_before_its_size_is_known() -> None:
    remote = RemotePieces()
    remote.fill()
    assert remote.complete
    remote.settle(3)
    assert remote.known == PieceSet.full(3)


def test_bounds_hold_while_the_number_is_unknown() -> None:
    remote = RemotePieces()
    assert remote.add(MAX_PIECES - 1)
    assert not remote.add(MAX_PIECES - 1)
    with pytest.raises(RemoteProtocolError, match="have of piece"):
        remote.add(MAX_PIECES)
    with pytest.raises(RemoteProtocolError, match="bitfield of"):
        remote.unpack(bytes(MAX_PIECES))
