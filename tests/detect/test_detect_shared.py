"""Real captures made by others: what must be named, what must not, and what is abstained on."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pandas as pd
import pytest

from btresearch import flow
from btresearch.detect import run

pytestmark = pytest.mark.shared

# One flow of this capture is BitTorrent Sync ("BSYNC"), another protocol.
SYNC = "arkime_arkime__bt-tcp.pcap"


def ask(folder: Path, names: list[str], pattern: str = "*") -> pd.DataFrame:
    paths = sorted(folder.glob(pattern))
    assert paths, f"nothing under {folder}"
    return run(flow.read(paths), names)


def rates(verdicts: pd.DataFrame) -> pd.DataFrame:
    return verdicts.groupby(["detector", "verdict"]).size().unstack(fill_value=0)


@pytest.mark.skipif(importlib.util.find_spec("nfstream") is None, reason="pip install nfstream")
def test_ndpi_names_every_clear_flow_by_dpi(shared_pcaps):
    clear = ask(shared_pcaps / "bt-plain", ["ndpi"])
    unnamed = clear[clear["verdict"] != "bittorrent"]
    assert len(unnamed) == 1, unnamed["why"].tolist()
    sync = run(flow.read(shared_pcaps / "bt-plain" / SYNC), ["ndpi"])
    assert (sync["verdict"] != "bittorrent").sum() == 1


@pytest.mark.skipif(importlib.util.find_spec("nfstream") is None, reason="pip install nfstream")
def test_ndpi_names_no_mse_flow_and_every_utp_flow(shared_pcaps):
    assert (ask(shared_pcaps / "bt-mse", ["ndpi"])["verdict"] != "bittorrent").all()
    assert (ask(shared_pcaps / "bt-utp", ["ndpi"], "derived*small*")["verdict"] == "bittorrent").all()


def test_whole_mse_flows_are_flagged_and_named_half_open_ones_abstained_on(shared_pcaps):
    flows = flow.read(sorted((shared_pcaps / "bt-mse").glob("*")))
    whole = flows["handshake_seen"] & (flows["payload_packets_s2c"] > 0)
    assert whole.sum() == 2
    assert (run(flows[whole], ["fet"])["verdict"] == "flagged").all()
    assert (run(flows[whole], ["tstat_mse"])["verdict"] == "bittorrent").all()
    assert (run(flows[~whole], ["tstat_mse"])["verdict"] == "abstain").all()


def test_clear_handshakes_are_found_by_the_scan(shared_pcaps):
    scanned = ask(shared_pcaps / "bt-plain", ["infohash_scan"])
    assert (scanned["verdict"] == "bittorrent").sum() == len(scanned) - 1  # all but BitTorrent Sync


@pytest.mark.parametrize("folder", ["tls-web", "tls-other"])
def test_no_tls_flow_is_named(shared_pcaps, folder):
    verdicts = ask(
        shared_pcaps / folder, ["fet", "infohash_scan", "record_tail", "tls_fingerprint", "tstat_mse"]
    )
    named = verdicts[verdicts["verdict"] == "bittorrent"]
    assert named.empty, named["why"].tolist()
    flagged = verdicts[verdicts["verdict"] == "flagged"]
    # Ookla's speed test, filed under TLS, opens a second, scrambled connection beside it.
    assert len(flagged) == {"tls-web": 0, "tls-other": 1}[folder], rates(verdicts).to_string()
