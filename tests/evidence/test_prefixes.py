"""A cut flow is the flow as it stood after k packets, and a verdict counts from where it holds to the end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from btresearch import flow
from btresearch.detect.contract import answers, bittorrent, other
from btresearch.evidence import prefixes, trial
from btresearch.evidence.splits import rotation
from tests.detect import wire
from tests.evidence.made import corpus, sessions

SAMPLES = Path(__file__).parents[2] / "captures"
SAME = [
    "pkt_dir", "pkt_len", "pkt_flags", "first_payload_c2s", "first_payload_s2c", "stream_head_c2s",
    "stream_head_s2c", "bytes_c2s", "bytes_s2c", "packets_c2s", "packets_s2c", "payload_packets_c2s",
    "payload_packets_s2c", "ip_bytes_c2s", "ip_bytes_s2c", "header_bytes_c2s", "header_bytes_s2c", "is_tls",
    "tls_len", "tls_type", "tls_dir", "ja3", "ja4", "sni", "ja3s", "client_hello", "server_hello", "burst_dir",
    "burst_bytes", "burst_packets", "syn_seen", "handshake_seen", "fin_seen", "rst_seen", "t_last_ns",
]  # fmt: skip


def conversation() -> list[bytes]:
    return wire.frames(wire.tls_conversation("example.org", [300, 5000, 70, 16384]))


@pytest.mark.parametrize("k", [2, 3, 4, 5, 6, 8, 11])
def test_cut_equals_a_capture_that_stops_there(tmp_path: Path, k: int) -> None:
    frames = conversation()
    for name, kept in (("whole", frames), ("short", frames[:k])):
        (tmp_path / f"{name}.pcap").write_bytes(wire.pcap([kept]))
    whole, short = (flow.read(tmp_path / f"{name}.pcap") for name in ("whole", "short"))
    cut = prefixes.cut(whole, k)
    for column in SAME:
        found, wanted = cut[column].iloc[0], short[column].iloc[0]
        assert np.array_equal(found, wanted), column
    flow.check(cut)


def test_a_short_flow_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "one.pcap").write_bytes(wire.pcap([conversation()]))
    flows = flow.read(tmp_path / "one.pcap")
    pd.testing.assert_frame_equal(prefixes.cut(flows, 100), flows, check_dtype=False)


@dataclass(frozen=True, kw_only=True)
class Counts:
    """BitTorrent while the number of packets is one of `at`."""

    at: tuple[int, ...]
    name: str = "counts"
    version: str = "1"
    cites: tuple[str, ...] = ()
    question: int = 2
    sees: tuple[str, ...] = ("pkt_len",)
    needs: str = ""
    trained: bool = False

    def __call__(self, flows: pd.DataFrame) -> pd.DataFrame:
        hits = flows["pkt_len"].map(len).isin(self.at)
        return answers(flows.index, [bittorrent("yes") if hit else other("no") for hit in hits])


@pytest.mark.parametrize(
    ("at", "flagged", "settled"),
    [
        ((5, 10, 15), [1, 1, 1], [1, 1, 1]),
        ((10, 15), [0, 1, 1], [0, 1, 1]),
        ((5, 15), [1, 0, 1], [0, 0, 1]),  # a verdict that is taken back doesn't count
        ((5, 10), [1, 1, 0], [0, 0, 0]),
    ],
)
def test_a_verdict_counts_from_where_it_holds(at: tuple[int, ...], flagged: list, settled: list) -> None:
    flows = corpus(sessions()).flows
    assert set(flows["pkt_len"].map(len)) == {15}
    tried = trial.run("counts", Counts(at=at), flows, rotation(flows, 4))
    shortened = [(k, prefixes.cut(flows, k)) for k in (10, 5)]
    table = prefixes.until_verdict(tried, "wire", shortened)
    ours = table[table["class"] == "bittorrent"]
    assert ours["packets"].tolist() == [5, 10, prefixes.WHOLE]
    assert (ours["flagged"] / ours["n"]).tolist() == flagged
    assert (ours["settled"] / ours["n"]).tolist() == settled
    assert ours["bytes"].is_monotonic_increasing


def test_the_first_k_that_settles_half() -> None:
    flows = corpus(sessions()).flows
    tried = trial.run("counts", Counts(at=(10, 15)), flows, rotation(flows, 4))
    table = prefixes.until_verdict(tried, "wire", [(k, prefixes.cut(flows, k)) for k in (5, 10)])
    assert prefixes.first_settled(table).tolist() == [10, 10]  # BitTorrent and cover
