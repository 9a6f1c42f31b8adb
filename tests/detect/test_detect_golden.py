"""Every verdict on fixed captures: made here, and those of captures/. `pytest --update-golden` writes anew."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pandas as pd
import pytest

from btresearch import flow
from btresearch.detect import run, select
from tests.conftest import ROOT
from tests.detect.wire import (
    clear_conversation,
    frames,
    http_conversation,
    mse_conversation,
    pcap,
    tls_conversation,
)

GOLDEN = ROOT / "tests" / "golden" / "verdicts"
CAPTURES = sorted(path.parent for path in (ROOT / "captures").glob("*/manifest.toml"))
COLUMNS = ["flow_id", "detector", "version", "score", "verdict", "why"]
MACHINES_OWN = {"tshark", "ndpi_reader"}  # their versions, and so their verdicts, are the distribution's
INFOHASH = "6590369d57d9a4f068b73f5bced7222a487e8bef"

MADE = {
    "clear": clear_conversation(),
    "mse": mse_conversation(7),
    "http": http_conversation(),
    "tls_bulk": tls_conversation("lab.test", [16401] * 8 + [900]),
    "tls_pieces": tls_conversation(INFOHASH, [30, 16401] * 8),
}


def verdicts(source: Path) -> pd.DataFrame:
    """Flow by flow; scores are rounded, and engines are left out that are missing or the machine's own."""
    left_out = MACHINES_OWN if importlib.util.find_spec("nfstream") else MACHINES_OWN | {"ndpi"}
    names = [d.name for d in select() if d.name not in left_out]
    table = run(flow.read(source), names)[COLUMNS].sort_values(["flow_id", "detector"], ignore_index=True)
    return table.assign(score=table["score"].round(3), version=table["version"].astype(str))


def compare(name: str, found: pd.DataFrame, update: bool) -> None:
    path = GOLDEN / f"{name}.csv"
    if update:
        GOLDEN.mkdir(parents=True, exist_ok=True)
        found.to_csv(path, index=False)
    assert path.exists(), f"no golden table for {name}: pytest --update-golden writes it"
    expected = pd.read_csv(path, dtype={"version": str})
    expected = expected[expected["detector"].isin(set(found["detector"]))].reset_index(drop=True)
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)


@pytest.mark.parametrize("name", MADE)
def test_verdicts_on_made_captures(name, tmp_path, update_golden):
    path = tmp_path / f"{name}.pcap"
    path.write_bytes(pcap([frames(MADE[name])]))
    compare(f"made_{name}", verdicts(path), update_golden)


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.name)
def test_verdicts_on_the_captures_in_git(capture, update_golden):
    compare(f"capture_{capture.name}", verdicts(capture), update_golden)


def test_the_made_captures_get_their_known_answers(tmp_path):
    path = tmp_path / "all.pcap"
    path.write_bytes(pcap([frames(talk, ports=(40000 + i, 46881)) for i, talk in enumerate(MADE.values())]))
    table = run(flow.read(path), ["fet", "infohash_scan", "record_tail", "tstat_mse"])
    named = table.pivot_table(index="flow_id", columns="detector", values="verdict", aggfunc="first")
    named.index = pd.Index(MADE)
    firing = named.isin(["bittorrent", "flagged"])
    assert firing.index[firing["fet"]].tolist() == ["mse"]
    assert firing.index[firing["tstat_mse"]].tolist() == ["mse"]
    assert firing.index[firing["infohash_scan"]].tolist() == ["clear", "tls_pieces"]
    assert firing.index[firing["record_tail"]].tolist() == ["tls_pieces"]
