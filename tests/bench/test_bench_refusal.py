"""Refusal latency: a few visits to each host, and what the rows say."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from btresearch.bench import nginx as nginx_module
from btresearch.bench import refusal


def test_a_row_says_whether_it_is_like_nginx() -> None:
    own = [1.0 + number / 100 for number in range(100)]
    same, slower = refusal._row("a", 1, own, own), refusal._row("b", 2, [wait + 5 for wait in own], own)
    assert (same.ks, same.p, same.within, same.alike) == (0.0, 1.0, True, True)
    assert (slower.ks, slower.within, slower.alike) == (1.0, False, False)
    assert slower.p < 1e-20
    assert (same.median_ms, same.p5_ms, same.p95_ms, same.n) == (1.495, 1.05, 1.94, 100)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not here: install nginx")
def test_every_host_is_visited() -> None:
    rows = refusal.run(torrents=(1, 1200), visits=4)
    assert [(row.server, row.torrents) for row in rows] == [
        ("nginx", 0),
        ("nginx again", 0),
        ("btresearch", 1),
        ("btresearch", 1200),
    ]
    assert all(row.n == 4 and 0 < row.p5_ms <= row.median_ms <= row.p95_ms < 5000 for row in rows)
    assert rows[0].alike


def test_without_nginx_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    with pytest.raises(nginx_module.NoNginx, match="install nginx"), nginx_module.nginx(tmp_path, b""):
        pass
