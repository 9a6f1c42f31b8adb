"""Rate: a steady stream reads as its rate, and silence as zero."""

from __future__ import annotations

import pytest

from btresearch.peer import Rate

MS = 1_000_000


@pytest.mark.parametrize("step_ms", [1, 7, 100, 333])
def test_steady_stream(step_ms: int) -> None:
    rate = Rate(0)
    for now_ms in range(0, 5000, step_ms):
        rate.add(now_ms * MS, 1000 * step_ms)
    assert rate.bytes_per_s(5000 * MS) == pytest.approx(1e6, rel=0.35 if step_ms > 100 else 0.11)


def test_before_a_window_has_passed() -> None:
    rate = Rate(0)
    rate.add(0, 50_000)
    assert rate.bytes_per_s(500 * MS) == pytest.approx(100_000)
    assert rate.bytes_per_s(0) <= 500_000, "one block at the start is no gigabyte per second"


def test_silence() -> None:
    rate = Rate(0)
    rate.add(0, 1_000_000)
    assert rate.bytes_per_s(1500 * MS) == pytest.approx(500_000)
    assert rate.bytes_per_s(2000 * MS) == 0
    assert rate.bytes_per_s(90_000 * MS) == 0
