"""The transfer benchmark on a small torrent: it runs, it measures what it says, its ratios are of one run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from btresearch.bench import cable as cable_module
from btresearch.bench import transfer
from btresearch.bench.transfer import BenchError, Ratio, Report, Result, Target
from btresearch.lab.netns import NetnsError

SMALL = 8 << 20
OWN, OTHER, SECURE = ("btresearch", "btls_basic"), ("libtorrent", "clear"), ("libtorrent", "ssl_torrent")


def _measured(mb_per_s: float, cpu_s_per_gb: float) -> dict[str, float]:
    return {
        "mb_per_s": mb_per_s,
        "cpu_s_per_gb": cpu_s_per_gb,
        "peak_rss_mb": 100.0,
        "others_cores": 0.0,
    }


def test_ratios_are_of_each_round_and_need_both_halves() -> None:
    # a machine that is busy in the second round slows both
    rounds = [
        {OWN: _measured(300, 6), SECURE: _measured(150, 8)},
        {OWN: _measured(30, 7), SECURE: _measured(10, 7)},
        {OWN: _measured(200, 5), SECURE: _measured(100, 10)},
    ]
    assert list(transfer.ratios(rounds)) == [
        Ratio("btresearch btls_basic / libtorrent ssl_torrent", "mb_per_s", 2.0, 2.0, 3.0, 2.0, True),
        Ratio("btresearch btls_basic / libtorrent ssl_torrent", "cpu_s_per_gb", 0.75, 0.5, 1.0, 1.0, True),
    ]


def test_every_level_has_its_targets() -> None:
    named = [(target.own, target.other[1], target.quantity, target.bound) for target in transfer.TARGETS]
    for level in ("btls_basic", "btls_strict", "btls_full"):
        assert (level, "ssl_torrent", "mb_per_s", 2.0) in named
        assert (level, "clear", "mb_per_s", 1.0) in named
        assert (level, "ssl_torrent", "cpu_s_per_gb", 1.0) in named
    cases = set(transfer.CASES)
    assert all({("btresearch", target.own), target.other} <= cases for target in transfer.TARGETS)


@pytest.mark.parametrize(
    ("loads", "attempts", "kept"),
    [([0.1, 0.0], 1, 0.1), ([0.9, 0.1], 2, 0.1), ([0.9, 0.4, 0.5, 0.0], 3, 0.4)],
)
def test_a_transfer_that_others_disturbed_is_done_again(
    loads: list[float], attempts: int, kept: float
) -> None:
    left = list(loads)
    assert transfer._quiet(lambda: {"others_cores": left.pop(0)}) == {"others_cores": kept}
    assert len(loads) - len(left) == attempts


def test_less_cpu_is_better() -> None:
    cpu = Target("clear", OTHER, "cpu_s_per_gb", 1.0)
    speed = Target("clear", OTHER, "mb_per_s", 1.0)
    assert [cpu.holds(0.9), cpu.holds(1.1), speed.holds(0.9), speed.holds(1.1)] == [True, False, False, True]


def test_json_has_the_agreed_fields() -> None:
    row = Result("btresearch", "clear", 1.0, 1.0, 100.0, 0.1, 1, "veth")
    assert [json.loads(line) for line in Report((row,), ()).json_lines()] == [
        {
            "peer": "btresearch",
            "transport": "clear",
            "mb_per_s": 1.0,
            "cpu_s_per_gb": 1.0,
            "peak_rss_mb": 100.0,
            "others_cores": 0.1,
            "n": 1,
            "network": "veth",
        }
    ]


@pytest.mark.parametrize("transport", ["btls_basic", "btls_strict", "btls_full"])
def test_own_peer_over_whatever_network_there_is(tmp_path: Path, transport: str) -> None:
    said: list[str] = []
    report = transfer.run(
        size_bytes=SMALL,
        repeat=1,
        cases=[("btresearch", transport)],
        folder=tmp_path,
        progress=said.append,
    )
    (result,) = report.results
    assert (result.transport, result.n) == (transport, 1)
    assert result.mb_per_s > 1
    assert 0 < result.cpu_s_per_gb < 1000
    assert 30 < result.peak_rss_mb < 300
    assert report.ratios == ()
    assert any("loopback" in line for line in said) is (result.network == "loopback")
    assert list(tmp_path.iterdir()) == []  # nothing is left behind


def test_loopback_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(address: str, *, join: object = None) -> None:
        raise NetnsError("network namespace", "not allowed")

    monkeypatch.setattr(cable_module, "Host", refuse)
    said: list[str] = []
    (result,) = transfer.run(
        size_bytes=SMALL, repeat=1, cases=[("btresearch", "clear")], folder=tmp_path, progress=said.append
    ).results
    assert result.network == "loopback"
    assert any(line.startswith("over loopback: ") and "not allowed" in line for line in said)


def test_an_end_that_fails_is_named(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="warp"):
        transfer.run(size_bytes=SMALL, repeat=1, cases=[("btresearch", "warp")], folder=tmp_path)


@pytest.mark.slow
@pytest.mark.interop
def test_libtorrent_beside_it(tmp_path: Path) -> None:
    pytest.importorskip("libtorrent")
    cases = [OTHER, SECURE, ("btresearch", "clear"), ("btresearch", "ssl_torrent")]
    report = transfer.run(size_bytes=SMALL, repeat=1, cases=cases, folder=tmp_path)
    assert [(result.peer, result.transport) for result in report.results] == cases
    assert all(result.mb_per_s > 1 for result in report.results)
    assert [ratio.ratio for ratio in report.ratios] == ["btresearch clear / libtorrent clear"]
