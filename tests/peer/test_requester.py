"""Requester: slow start, settling, bounds, snubbing. A peer is simulated as a pipe with rate and delay."""

from __future__ import annotations

from collections import deque

import pytest

from btresearch.peer import Requester
from btresearch.peer.requester import MAX_DEPTH, MIN_DEPTH, SNUB_NS

BLOCK = 16384
MS = 1_000_000


def run(requester: Requester, *, rate_bytes_per_s: float, rtt_ms: float, seconds: float) -> float:
    """Keep the pipe full for a while; the bytes per second that came over the second half."""
    now_ns, free_ns, end_ns = 0, 0, int(seconds * 1e9)
    due: deque[int] = deque()
    second_half_bytes = 0
    while now_ns < end_ns:
        room = requester.room()
        requester.sent(now_ns, room)
        for _ in range(room):
            free_ns = max(free_ns, now_ns + int(rtt_ms * MS)) + int(BLOCK / rate_bytes_per_s * 1e9)
            due.append(free_ns)
        now_ns = max(now_ns, due.popleft())
        requester.received(now_ns, BLOCK)
        second_half_bytes += BLOCK if now_ns > end_ns // 2 else 0
    return second_half_bytes / (seconds / 2)


@pytest.mark.parametrize(
    ("rate", "rtt_ms"), [(100e3, 50), (1e6, 200), (12.5e6, 100), (50e6, 20), (300e6, 0.2)]
)
def test_a_pipe_is_filled(rate: float, rtt_ms: float) -> None:
    requester = Requester(now_ns=0)
    got = run(requester, rate_bytes_per_s=rate, rtt_ms=rtt_ms, seconds=4 if rate > 1e8 else 12)
    assert got > 0.9 * rate
    assert MIN_DEPTH <= requester.depth <= MAX_DEPTH


def test_a_slow_peer_is_not_asked_for_more_than_it_can_give_soon() -> None:
    requester = Requester(now_ns=0)
    run(requester, rate_bytes_per_s=100e3, rtt_ms=50, seconds=20)
    assert requester.depth * BLOCK <= 3 * 100e3


def test_depth_is_bounded_by_the_peer() -> None:
    requester = Requester(now_ns=0)
    requester.limit_to(10)
    run(requester, rate_bytes_per_s=100e6, rtt_ms=1, seconds=1)
    assert requester.depth == 10
    requester.limit_to(0)
    assert requester.depth == 1


def test_room_counts_what_is_open() -> None:
    requester = Requester(now_ns=0)
    requester.sent(0, 5)
    before = requester.room()
    requester.dropped(2)
    assert requester.room() == before + 2
    requester.dropped(99)
    assert requester.room() == requester.depth


def test_snubbed_after_a_silent_minute() -> None:
    requester = Requester(now_ns=0)
    assert not requester.snubbed(10 * SNUB_NS), "nothing was asked"
    requester.sent(10 * SNUB_NS)
    requester.sent(10 * SNUB_NS + 5)
    assert not requester.snubbed(11 * SNUB_NS - 1)
    assert requester.snubbed(11 * SNUB_NS)
    requester.received(11 * SNUB_NS, BLOCK)
    assert not requester.snubbed(11 * SNUB_NS)
