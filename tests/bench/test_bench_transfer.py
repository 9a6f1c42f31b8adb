"""The transfer benchmark on a small torrent: it runs, it measures what it says, its ratios are of one run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from btresearch.bench import cable as cable_module
from btresearch.bench import transfer
from btresearch.bench.transfer import BenchError, Result
from btresearch.lab.netns import NetnsError

SMALL = 8 << 20


def _result(peer: str, transport: str, mb_per_s: float) -> Result:
    return Result(peer, transport, mb_per_s, 1.0, 100.0, 1, "veth")


def test_ratios_need_both_halves() -> None:
    results = [
        _result("btresearch", "clear", 300.0),
        _result("libtorrent", "clear", 400.0),
        _result("btresearch", "btls_basic", 300.0),
        _result("libtorrent", "ssl_torrent", 150.0),
        _result("btresearch", "mse_rc4", 100.0),
    ]
    found = {ratio.ratio: (ratio.value, ratio.met) for ratio in transfer.ratios(results)}
    assert found == {
        "btresearch clear / libtorrent clear": (0.75, False),
        "btresearch btls_basic / libtorrent ssl_torrent": (2.0, True),
    }


def test_json_has_the_agreed_fields() -> None:
    lines = [json.loads(line) for line in transfer.as_json([_result("btresearch", "clear", 1.0)])]
    assert lines == [
        {
            "peer": "btresearch",
            "transport": "clear",
            "mb_per_s": 1.0,
            "cpu_s_per_gb": 1.0,
            "peak_rss_mb": 100.0,
            "n": 1,
            "network": "veth",
        }
    ]


def test_own_peer_over_whatever_network_there_is(tmp_path: Path) -> None:
    said: list[str] = []
    (result,) = transfer.run(
        size_bytes=SMALL,
        repeat=1,
        cases=[("btresearch", "btls_basic")],
        folder=tmp_path,
        progress=said.append,
    )
    assert result.mb_per_s > 1
    assert 0 < result.cpu_s_per_gb < 1000
    assert 30 < result.peak_rss_mb < 300
    assert any("loopback" in line for line in said) is (result.network == "loopback")
    assert list(tmp_path.iterdir()) == []  # nothing is left behind


def test_loopback_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(address: str, *, join: object = None) -> None:
        raise NetnsError("network namespace", "not allowed")

    monkeypatch.setattr(cable_module, "Host", refuse)
    said: list[str] = []
    (result,) = transfer.run(
        size_bytes=SMALL, repeat=1, cases=[("btresearch", "clear")], folder=tmp_path, progress=said.append
    )
    assert result.network == "loopback"
    assert any(line.startswith("over loopback: ") and "not allowed" in line for line in said)


def test_an_end_that_fails_is_named(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="warp"):
        transfer.run(size_bytes=SMALL, repeat=1, cases=[("btresearch", "warp")], folder=tmp_path)


@pytest.mark.slow
@pytest.mark.interop
def test_libtorrent_beside_it(tmp_path: Path) -> None:
    pytest.importorskip("libtorrent")
    cases = [("libtorrent", "clear"), ("libtorrent", "ssl_torrent"), ("btresearch", "clear")]
    results = transfer.run(size_bytes=SMALL, repeat=1, cases=cases, folder=tmp_path)
    assert [(result.peer, result.transport) for result in results] == cases
    assert all(result.mb_per_s > 1 for result in results)
    assert [ratio.ratio for ratio in transfer.ratios(results)] == ["btresearch clear / libtorrent clear"]
