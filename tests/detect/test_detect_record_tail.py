"""Record lengths of piece messages, re-chunked and not, and of the look-alikes."""

from __future__ import annotations

import numpy as np
import pytest

from btresearch.detect.record_tail import DETECTOR, explained
from tests.detect.wire import flow, records, table

PIECE = 13 + 16384
SIZES = [16401, 16401, 16408, 16408, 30, 43, 37, 50, 34, 100]


def plain_records(writes: list[int], *, way: int = -1, overhead: int = 17) -> list[tuple[int, int]]:
    """Record lengths of application writes, each cut at 16384 bytes."""
    cut = [min(16384, size - at) for size in writes for at in range(0, size, 16384)]
    return [(way, length + overhead) for length in cut]


def rechunked(total: int, *, way: int = -1) -> list[tuple[int, int]]:
    """One stream cut into full records, and its remainder flushed at the end."""
    return plain_records([total], way=way)


def ask(lengths: list[tuple[int, int]], version: int = 0x0304) -> tuple[str, float]:
    answer = DETECTOR(table([flow(**records(lengths, version))])[list(DETECTOR.sees)]).iloc[0]
    return answer["verdict"], answer["score"]


@pytest.mark.parametrize(
    ("name", "lengths", "verdict"),
    [
        ("libtorrent: header, block", [(-1, 30), (-1, 16401)] * 20, "bittorrent"),
        ("seeding initiator", [(1, 30), (1, 16401)] * 20, "bittorrent"),
        ("message by message", plain_records([PIECE] * 20), "bittorrent"),
        ("three messages a write", plain_records([3 * PIECE] * 7), "bittorrent"),
        ("re-chunked, flushed after every 5 pieces", plain_records([5 * PIECE] * 4), "bittorrent"),
        ("re-chunked, one flush after 60 pieces", rechunked(60 * PIECE), "bittorrent"),
        ("re-chunked with other messages inside", rechunked(60 * PIECE + 9 * 7 + 5), "other"),
        ("bulk in full records", [(-1, 16401)] * 60, "other"),
        ("bulk and a last remainder", rechunked(1_000_000), "other"),
        ("HTTP/2 DATA frames", plain_records([16384 + 9] * 20), "other"),
        ("HTTP/2, four frames a write", plain_records([4 * (16384 + 9)] * 5), "other"),
        ("HTTP/1.1 chunks", plain_records([16384 + 8] * 20), "other"),
        ("WebSocket messages", plain_records([16384 + 4] * 20), "other"),
        ("WebSocket messages, masked", plain_records([16384 + 8] * 20, way=1), "other"),
        ("8 KiB records", [(-1, 8192 + 17)] * 60, "abstain"),
        ("three full records", [(-1, 30), (-1, 16401)] * 3, "abstain"),
        ("four full records", [(-1, 30), (-1, 16401)] * 4, "bittorrent"),
    ],
)
def test_known_answers(name, lengths, verdict):
    assert ask(lengths)[0] == verdict, name


@pytest.mark.parametrize(("version", "overhead"), [(0x0304, 17), (0x0303, 24), (0x0303, 16)])
def test_protection_overhead_follows_the_version(version, overhead):
    assert ask(plain_records([PIECE] * 20, overhead=overhead), version)[0] == "bittorrent"


def full_and_tail(n: int, tail: int) -> list[tuple[int, int]]:
    """Four runs of n full records, each with its tail."""
    return ([(-1, 16401)] * n + [(-1, tail + 17)]) * 4


@pytest.mark.parametrize("n", [1, 2, 3, 10, 60])
@pytest.mark.parametrize(
    ("header", "verdict"),
    [
        (13, "bittorrent"),
        (12, "other"),
        (14, "other"),
        (8, "other"),
        (9, "other"),
        (4, "other"),
        (17, "other"),
    ],
)
def test_only_tails_of_thirteen_a_record_are_piece_messages(n, header, verdict):
    """8 n: HTTP/1.1 chunks and masked WebSocket; 9 n: HTTP/2 DATA; 4 n: WebSocket; 17 n: requests."""
    assert ask(full_and_tail(n, header * n))[0] == verdict


@pytest.mark.parametrize(
    ("n", "tail"), [(8, 13 * 9), (9, 13 * 8), (13, 8 * 13 + 13), (8, 9 * 13), (13, 9 * 13)]
)
def test_a_multiple_of_thirteen_must_be_that_of_the_run(n, tail):
    assert ask(full_and_tail(n, tail)) == ("other", 0.0)


def test_the_one_coincidence_that_is_known():
    """13 n of one count is 8 m or 9 m of another: a look-alike needs both counts to be the run's own."""
    assert ask(full_and_tail(8, 13 * 8))[0] == "bittorrent"
    assert ask(full_and_tail(13, 8 * 13))[0] == "other"


@pytest.mark.parametrize(
    ("version", "overhead", "verdict"),
    [
        (0x0304, 17, "bittorrent"),
        (0x0304, 16, "abstain"),
        (0x0304, 24, "abstain"),
        (0x0303, 24, "bittorrent"),
        (0x0303, 16, "bittorrent"),
        (0x0303, 17, "abstain"),
        (0x0302, 24, "bittorrent"),
        (-1, 24, "bittorrent"),
        (-1, 17, "abstain"),
    ],
)
def test_which_overheads_are_tried_for_which_version(version, overhead, verdict):
    assert ask(plain_records([PIECE] * 20, overhead=overhead), version)[0] == verdict


def test_many_flows_at_once_as_one_by_one():
    random = np.random.default_rng(2)
    many = [
        flow(
            **records(
                [
                    (int(w), int(s))
                    for w, s in zip(random.choice([1, -1], n), random.choice(SIZES, n), strict=True)
                ],
                v,
            )
        )
        for v in (0x0304, 0x0303)
        for n in random.integers(0, 60, 200)
    ]
    rows = table(many)[list(DETECTOR.sees)]
    together = DETECTOR(rows)
    apart = [DETECTOR(rows.iloc[[i]]).iloc[0].tolist() for i in range(len(rows))]
    assert together.to_numpy().tolist() == apart
    assert set(together["verdict"]) == {"bittorrent", "other", "abstain"}


def test_window_updates_and_requests_against_the_bulk_do_not_decide():
    download = [(-1, 16401)] * 40 + [(1, 30)] * 20 + [(1, 34)] * 20
    assert ask(download) == ("other", 0.0)


@pytest.mark.parametrize(("share", "verdict"), [(0.45, "other"), (0.5, "bittorrent"), (0.55, "bittorrent")])
def test_half_of_the_full_records_decide(share, verdict):
    good = round(20 * share)
    lengths = [(-1, 30), (-1, 16401)] * good + [(-1, 50), (-1, 16401)] * (20 - good) + [(-1, 50)]
    assert ask(lengths) == (verdict, pytest.approx(share))


def test_explained_counts_runs_with_their_tail():
    full, header = 16384, 13
    assert explained(np.array([])) == 0
    assert explained(np.array([header, full])) == 1
    assert explained(np.array([full, header])) == 1
    assert explained(np.array([full, full, 2 * header])) == 2
    assert explained(np.array([header, full, full])) == 0
    assert explained(np.array([full, full, header])) == 0


def test_handshake_records_and_clear_flows_are_left_out():
    facts = records([(-1, 30), (-1, 16401)] * 20)
    handshake = facts | {"tls_type": np.full(40, 22, np.uint8)}
    rows = table([flow(**handshake), flow(**facts | {"is_tls": False}), flow()])
    assert (DETECTOR(rows[list(DETECTOR.sees)])["verdict"] == "abstain").all()
