"""How much of unfinished pieces waits in memory."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any, cast

import pytest

from btresearch.peer import Block, Layout, PieceSet
from btresearch.peer.messages import Piece
from btresearch.session.download import MAX_STARTED_BYTES, Download

MIB = 1 << 20


def _download(piece_bytes: int, pieces: int = 400) -> Download:
    layout = Layout(piece_bytes, pieces * piece_bytes)
    torrent = SimpleNamespace(layout=layout)
    disk = SimpleNamespace(storage=SimpleNamespace(layout=layout))
    watcher = SimpleNamespace(disk_caught_up=lambda: None)
    made = Download(
        cast("Any", torrent),
        cast("Any", disk),
        PieceSet(pieces),
        rng=random.Random(1),
        watcher=cast("Any", watcher),
    )
    for peer in range(20):
        made.picker.add_peer(peer, PieceSet.full(pieces))
    return made


@pytest.mark.parametrize("piece_mib", [16, 64, 128])
def test_pieces_that_were_begun_come_first_once_they_fill_the_memory(piece_mib: int) -> None:
    download = _download(piece_mib * MIB)
    for turn in range(40_000):
        peer = turn % 20
        blocks = download.picker.pick(peer, 8, only=download.only_started)
        if not blocks:
            break
    started = download.picker.started
    assert len(started) == max(1, MAX_STARTED_BYTES // (piece_mib * MIB))
    assert download.only_started == frozenset(started)


def test_a_large_piece_has_one_buffer() -> None:
    download = _download(128 * MIB, 3)
    for _ in range(30):
        for block in download.picker.pick(1, 20, only=download.only_started):
            download.received(1, Piece(block.index, block.begin, bytes(block.length)))
    assert len(download._buffers) == 1


def test_small_pieces_are_not_held_up() -> None:
    download = _download(16384)
    assert download.only_started is None
    assert download.picker.pick(1, 200) and download.only_started is None
    assert isinstance(download.picker.pick(2, 1)[0], Block)
