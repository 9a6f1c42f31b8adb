"""A small crowd, and hosts as processes of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from btresearch.bench import crowd, host


@pytest.mark.slow
@pytest.mark.parametrize(("connections", "hostile"), [(20, 5), (40, 4)])
def test_a_small_crowd_gets_in_and_its_foes_do_not(connections: int, hostile: int) -> None:
    found = crowd.run(connections=connections, hostile_share=hostile / connections)
    assert (found.honest, found.hostile) == (connections - hostile, hostile)
    assert (found.honest_failed, found.admitted_hostile) == (0, 0)
    assert 0 < found.median_s <= found.worst_s < 30
    assert 30 < found.peak_rss_mb < crowd.TARGET_RSS_MB
    assert found.met


@pytest.mark.slow
def test_other_transports_too() -> None:
    found = crowd.run(connections=4, hostile_share=0.0, transport="mse_rc4")
    assert found.honest_failed == 0
    assert found.met


def test_a_host_that_fails_says_no_port(tmp_path: Path) -> None:
    with host.host_process("warp", folders=[tmp_path]) as process:
        assert process.port == 0
