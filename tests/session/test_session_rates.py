"""Rates and limits on an injected clock."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.session.rates import NS_PER_S, RateMeter, TokenBucket


def test_meter_approaches_a_steady_rate() -> None:
    meter = RateMeter(0)
    for second in range(1, 12):
        meter.total_bytes += 1000
        meter.tick(second * NS_PER_S)
    assert 990 < meter.bytes_per_s <= 1000
    before = meter.bytes_per_s
    meter.tick(11 * NS_PER_S)  # no time has passed
    assert meter.bytes_per_s == before


def test_no_limit_never_waits() -> None:
    bucket = TokenBucket(None, 0)
    bucket.spend(1 << 40, 0)
    assert bucket.wait_s(0) == 0.0


@settings(deadline=None, max_examples=100)
@given(st.integers(1_000, 10_000_000), st.lists(st.integers(1, 300_000), min_size=1, max_size=50))
def test_what_passes_in_time_is_bounded(rate: int, sizes: list[int]) -> None:
    """However it is cut, no more than the rate, a tenth of a second and the last burst gets through."""
    bucket, now_ns, sent = TokenBucket(rate, 0), 0, 0
    for size in sizes:
        now_ns += int(bucket.wait_s(now_ns) * NS_PER_S) + 1
        bucket.spend(size, now_ns)
        sent += size
    assert sent <= rate * (now_ns / NS_PER_S + 0.1) + sizes[-1] + len(sizes)
