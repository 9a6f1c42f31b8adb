"""nDPI's verdicts, and that no flow's label depends on another flow."""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pandas as pd
import pytest

from btresearch.detect.ndpi import DETECTOR, Engine, Label, judge, pcap
from btresearch.errors import MissingTool
from tests.detect.wire import clear_conversation, flow, frames, http_conversation, mse_conversation, table

engine = pytest.mark.skipif(importlib.util.find_spec("nfstream") is None, reason="pip install nfstream")


@pytest.mark.parametrize(
    ("label", "verdict"),
    [
        (Label("BitTorrent", 6, ()), "bittorrent"),
        (Label("BitTorrent", 5, ()), "other"),
        (Label("BitTorrent", 4, ()), "other"),
        (Label("BitTorrent", 3, ()), "other"),
        (Label("BitTorrent", 1, ()), "other"),
        (Label("BitTorrent", 1, ("suspicious entropy",)), "flagged"),
        (Label("Unknown", 0, ("obfuscated traffic",)), "flagged"),
        (Label("Unknown", 0, ("unidirectional traffic",)), "other"),
        (Label("TLS", 6, ("tls missing sni",)), "other"),
        (Label("TLS", 6, ("tls missing sni", "tls alpn sni mismatch")), "flagged"),
        (Label("TLS", 6, ("tls suspicious extension",)), "other"),
        (Label("TLS.BitTorrentish", 6, ()), "other"),
    ],
)
def test_only_dpi_names(label, verdict):
    answer = judge(label)
    assert answer.verdict == verdict
    assert label.name in answer.why and all(risk in answer.why for risk in label.risks)


def test_why_tells_dpi_memory_and_port_apart():
    whys = {confidence: judge(Label("BitTorrent", confidence, ())).why for confidence in (1, 4, 5, 6)}
    assert (
        "port guess" in whys[1] and "memory of other flows" in whys[4] and "memory of other flows" in whys[5]
    )
    assert whys[6] == "nDPI says BitTorrent by DPI"
    assert all("a guess is not a detection" in whys[confidence] for confidence in (1, 4, 5))


def test_the_capture_handed_over_is_a_classic_one():
    data = pcap(1, [b"ab", b"c"], [1_500_000_000, 2_000_000_999])
    assert data[:4] == bytes.fromhex("d4c3b2a1") and len(data) == 24 + 16 + 2 + 16 + 1
    assert int.from_bytes(data[28:32], "little") == 500_000


def rows(*conversations: list[bytes]) -> pd.DataFrame:
    made = [flow(raw_frames=f[:32], raw_t_ns=np.arange(len(f[:32])) * 10**6) for f in conversations]
    return table(made)[list(DETECTOR.sees)]


@engine
def test_clear_bittorrent_is_named_and_mse_is_not():
    answer = DETECTOR(
        rows(
            frames(clear_conversation()),
            frames(mse_conversation(1)),
            frames(http_conversation(), ports=(40001, 80)),
        )
    )
    assert answer["verdict"].tolist()[0] == "bittorrent"
    assert "bittorrent" not in answer["verdict"].tolist()[1:]
    assert "HTTP by DPI" in answer["why"].iloc[2]


@engine
def test_a_named_flow_teaches_the_engine_nothing_about_the_next():
    """Same addresses and ports: an engine with a memory would name the noise after the clear flow."""
    clear, noise = frames(clear_conversation()), frames(mse_conversation(2))
    alone, after = DETECTOR(rows(noise)), DETECTOR(rows(clear, noise, clear, noise))
    assert after["verdict"].tolist()[1::2] == alone["verdict"].tolist() * 2
    assert after["why"].tolist()[1::2] == alone["why"].tolist() * 2


@engine
def test_a_port_is_only_a_guess():
    answer = DETECTOR(rows(frames(mse_conversation(3), ports=(40000, 51413))))
    assert answer["verdict"].iloc[0] != "bittorrent"
    assert "BitTorrent by port guess" in answer["why"].iloc[0]


@engine
def test_frames_that_it_cannot_decode_are_abstained_on():
    damaged = table([flow(raw_frames=[b"\x00" * 3], raw_t_ns=[0]), flow(raw_frames=[], raw_t_ns=[])])
    answer = DETECTOR(damaged[list(DETECTOR.sees)])
    assert answer["verdict"].tolist() == ["abstain", "abstain"]


@engine
def test_the_compiled_version_is_told():
    assert Engine().version.startswith("5.")


def test_without_nfstream_one_line_names_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "nfstream", None)
    with pytest.raises(MissingTool, match="pip install nfstream"):
        DETECTOR(rows(frames(http_conversation())))
