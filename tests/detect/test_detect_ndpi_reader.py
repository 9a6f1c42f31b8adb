"""What is read from ndpiReader's lines, and the reader itself where it is installed."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from btresearch.detect import run
from btresearch.detect.ndpi_reader import DETECTOR, OWN_MEMORY, Label, judge, parse
from btresearch.errors import MissingTool
from tests.detect.wire import clear_conversation, flow, frames, http_conversation, mse_conversation, table

engine = pytest.mark.skipif(shutil.which("ndpiReader") is None, reason="apt-get install libndpi-bin")

# Lines of ndpiReader 4.2 (-v 2), shortened at the end.
LINES = [
    "Detected protocols:",
    (
        "\t1\tTCP 10.0.0.14:40000 <-> 10.0.0.15:46881 [proto: 37/BitTorrent][IP: 0/Unknown][Encrypted][Confidence: DPI]"
        "[cat: Download/7][9 pkts/8 bytes <-> 9 pkts/9 bytes][Risk: ** Known Proto on Non Std Port **][Risk Score: 50]"
    ),
    "\t2\tTCP 10.0.0.17:40000 -> 10.0.0.16:443 [proto: 91/TLS][Confidence: DPI][cat: Web/5][Risk: ** Susp Entropy **]",
    "\t3\tUDP 10.2.0.1:1 <-> 10.2.0.0:2 [proto: 0/Unknown][Confidence: Unknown][cat: Unspecified/0]",
    "\t4\tTCP 192.0.2.1:1 <-> 192.0.2.2:2 7/HTTP",
]


def rows(*conversations):
    made = [flow(raw_frames=f[:32], raw_t_ns=np.arange(len(f[:32]))) for f in conversations]
    return table(made)[list(DETECTOR.sees)]


def test_lines_are_read_by_the_flow_s_own_addresses():
    assert parse(LINES) == {
        7: Label("BitTorrent", "DPI", ("known proto on non std port",)),
        8: Label("TLS", "DPI", ("susp entropy",)),
        65536: Label("Unknown", "Unknown", ()),
    }


@pytest.mark.parametrize(
    ("label", "verdict"),
    [
        (Label("BitTorrent", "DPI", ()), "bittorrent"),
        (Label("BitTorrent", "", ()), "bittorrent"),  # builds before 4.0 tell no confidence
        (Label("BitTorrent", OWN_MEMORY, ()), "bittorrent"),
        (Label("BitTorrent", "DPI (cache)", ()), "other"),
        (Label("BitTorrent", "Match by port", ()), "other"),
        (Label("TLS.BitTorrentish", "DPI", ()), "other"),
        (Label("TLS", "DPI", ("susp entropy",)), "flagged"),
        (Label("Unknown", "Unknown", ("obfuscated traffic",)), "flagged"),
        (Label("TLS", "DPI", ("known proto on non std port",)), "other"),
        (Label("Unknown", "Unknown", ()), "abstain"),
        (None, "abstain"),
    ],
)
def test_named_flagged_or_cannot_say(label, verdict):
    assert judge(label).verdict == verdict


@engine
def test_clear_text_is_named_and_neighbours_are_not_named_from_memory():
    clear = [frames(clear_conversation(), ports=(40000 + i, 46881)) for i in range(4)]
    noise = [frames(mse_conversation(i), ports=(40000 - 2 * i, 46881)) for i in range(4)]
    page = frames(http_conversation(), ports=(40001, 80))
    answer = DETECTOR(rows(*clear, *noise, page))
    assert answer["verdict"].tolist()[:4] == ["bittorrent"] * 4
    assert "bittorrent" not in answer["verdict"].tolist()[4:]
    assert "HTTP by DPI" in answer["why"].iloc[8]


@engine
def test_frames_that_it_cannot_use_are_abstained_on():
    assert DETECTOR(rows([b"\0" * 60], []))["verdict"].tolist() == ["abstain", "abstain"]


def test_without_it_one_line_names_the_package(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingTool, match="apt-get install libndpi-bin"):
        DETECTOR(rows(frames(http_conversation())))
    told = run(table([flow(raw_frames=frames(http_conversation()))]), ["ndpi_reader"])
    assert told["verdict"].tolist() == ["abstain"]
    assert "libndpi-bin" in told["why"].iloc[0]
