"""scapy, dpkt, pandas, matplotlib and cryptography are each reached by a public call of the project."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dpkt
import pandas as pd
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from matplotlib.figure import Figure
from scapy.layers.inet import TCP

from btresearch import capture, flow
from btresearch.evidence import figure
from btresearch.transport import btls

SAMPLE = Path(__file__).parent.parent / "captures" / "lt_clear-000" / "capture.pcapng"


def spy(monkeypatch: pytest.MonkeyPatch, kind: type, calls: list[str]) -> None:
    """Note every construction of `kind`, and let it happen."""
    original: Callable[..., None] = kind.__init__

    def noted(self: Any, *args: Any, **kwargs: Any) -> None:
        calls.append(kind.__name__)
        original(self, *args, **kwargs)

    monkeypatch.setattr(kind, "__init__", noted)


def test_dpkt_decodes_the_packets_of_flow_read(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    spy(monkeypatch, dpkt.ip.IP, calls)
    assert len(flow.read(SAMPLE)) > 0
    assert len(calls) > 100


def test_pandas_is_what_flow_read_returns() -> None:
    assert isinstance(flow.read(SAMPLE), pd.DataFrame)


def test_scapy_builds_the_packets_of_packetise(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    spy(monkeypatch, TCP, calls)
    records = [capture.Record(1_000_000, "c2s", b"hello"), capture.Record(2_000_000, "s2c", b"you")]
    talk = capture.Conversation(
        proto="tcp", src="10.0.0.1", sport=5000, dst="10.0.0.2", dport=80, records=records, opened_ns=500_000
    )
    assert len(list(capture.packetise([talk]))) > 5
    assert calls


def test_matplotlib_draws_the_matrix() -> None:
    row = {
        "detector": "fet", "transport": "clear", "shape": "", "client": "x", "n": 1, "flagged": 0, "rate": 0.0,
        "named": 0, "abstained": 0, "class": "bittorrent", "capture": "wire",
    }  # fmt: skip
    assert isinstance(figure.figure(pd.DataFrame([row])), Figure)


def test_cryptography_looks_a_torrent_up_in_the_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    spy(monkeypatch, Cipher, calls)
    keyring = btls.Keyring([btls.TorrentKey.basic(bytes(20))])
    assert keyring.lookup(bytes(16), bytes(16)) is None
    assert calls
