"""The lookup benchmark on a small keyring."""

from __future__ import annotations

import os

from btresearch.bench import lookup


def test_it_measures_and_gives_the_cores_back() -> None:
    cores = os.sched_getaffinity(0)
    found = lookup.run(torrents=500, repeat=10)
    assert (found.torrents, found.n) == (500, 10)
    assert 0 < found.hit_ms <= found.worst_ms
    assert 0 < found.miss_ms <= found.worst_ms
    assert found.loop_delay_ms <= found.loop_delay_max_ms
    assert found.met is (max(found.hit_ms, found.miss_ms) < lookup.TARGET_MS)
    assert os.sched_getaffinity(0) == cores
