"""The committed captures: whole, labelled, small, and read by tshark as by us; the known answers hold on them."""

from __future__ import annotations

import subprocess
from base64 import b32encode
from pathlib import Path
from urllib.parse import quote_from_bytes

import pandas as pd
import pytest

from btresearch import detect, flow
from btresearch.capture import Capture, parse_comment

ROOT = Path(__file__).parent.parent / "captures"
FOLDERS = sorted(p.parent for p in ROOT.glob("*/manifest.toml"))
MAX_BYTES = 20 << 20


def of(prefix: str) -> list[Path]:
    found = [f for f in FOLDERS if f.name.startswith(prefix)]
    assert found, f"no capture {prefix}"
    return found


def verdicts(prefix: str, detector: str) -> pd.Series:
    tables = [detect.run(flow.read(Capture.open(f).path), [detector])["verdict"] for f in of(prefix)]
    return pd.concat(tables, ignore_index=True)


def forms(infohash: bytes) -> list[bytes]:
    """Every spelling in which an infohash could stand in a packet."""
    both = [infohash, infohash[::-1]]
    texts = [h.hex().encode() for h in both] + [h.hex().upper().encode() for h in both]
    b32 = b32encode(infohash)
    return [*both, *texts, b32, b32.lower(), quote_from_bytes(infohash, safe="").encode()]


def test_there_are_enough_and_they_are_small() -> None:
    kinds = {f.name.rsplit("-", 1)[0] for f in FOLDERS}
    assert {
        "lt_clear",
        "lt_mse_rc4",
        "lt_ssl_torrent",
        "own_btls_basic_rechunk",
        "own_btls_basic_none",
    } <= kinds
    assert len([k for k in kinds if k.startswith("cover_")]) >= 2
    assert sum(p.stat().st_size for p in ROOT.rglob("*") if p.is_file()) < MAX_BYTES


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f.name)
def test_capture_is_whole_and_every_tcp_packet_is_labelled(folder: Path) -> None:
    capture = Capture.open(folder)
    packets = list(capture.packets())
    labels = capture.labels()
    assert (folder / "README.md").exists()
    assert capture.usable
    assert capture.manifest.kind == "wire"
    assert len(packets) == capture.manifest.packets
    named = {parse_comment(p.comment).sample_id for p in packets if p.comment}
    assert named == set(labels["sample_id"].astype(str))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f.name)
def test_tshark_counts_our_packets_and_shows_the_comments(folder: Path, tshark: str) -> None:
    capture = Capture.open(folder)
    done = subprocess.run(
        [tshark, "-r", capture.path, "-T", "fields", "-e", "frame.comment"],
        capture_output=True,
        text=True,
        check=True,
    )
    shown = done.stdout.split("\n")[:-1]
    ours = [p.comment or "" for p in capture.packets()]
    assert len(shown) == capture.manifest.packets
    assert shown == ours


def test_every_ssl_torrent_shows_its_infohash_in_the_server_name() -> None:
    for folder in of("lt_ssl_torrent"):
        capture = Capture.open(folder)
        assert set(flow.read(capture.path)["sni"]) == set(capture.labels()["torrent"])
    assert set(verdicts("lt_ssl_torrent", "infohash_scan")) == {"bittorrent"}


def test_no_form_of_the_infohash_stands_anywhere_in_a_btls_capture() -> None:
    for folder in of("own_btls"):
        capture = Capture.open(folder)
        wire = b"".join(p.data for p in capture.packets())
        for torrent in capture.labels()["torrent"]:
            assert not [f for f in forms(bytes.fromhex(torrent)) if f in wire]
    assert set(verdicts("own_btls", "infohash_scan")) == {"other"}


def test_the_search_for_forms_would_find_one() -> None:
    capture = Capture.open(of("lt_clear")[0])
    wire = b"".join(p.data for p in capture.packets())
    assert all(bytes.fromhex(t) in wire for t in capture.labels()["torrent"])


def test_ndpi_names_clear_text_always_and_rc4_never() -> None:
    pytest.importorskip("nfstream", reason="nfstream is not here: pip install nfstream")
    assert set(verdicts("lt_clear", "ndpi")) == {"bittorrent"}
    assert "bittorrent" not in set(verdicts("lt_mse_rc4", "ndpi"))


@pytest.mark.parametrize(
    ("prefix", "detector", "expected"),
    [
        ("lt_ssl_torrent", "record_tail", {"bittorrent"}),
        ("own_btls_basic_none", "record_tail", {"bittorrent"}),
        ("lt_mse_rc4", "fet", {"flagged"}),
        ("own_btls", "fet", {"other"}),
        ("cover_", "fet", {"other"}),
        ("lt_mse_rc4", "tstat_mse", {"bittorrent"}),
    ],
)
def test_known_answers(prefix: str, detector: str, expected: set[str]) -> None:
    assert set(verdicts(prefix, detector)) == expected
