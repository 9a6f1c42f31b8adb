"""Flows as they stood after their first k packets, and how many packets a verdict takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from btresearch.evidence.rates import cells
from btresearch.evidence.trial import Trial, acted_on
from btresearch.flow import GROUPS

Row = dict[str, Any]

COLUMNS = [
    "detector", "capture", "transport", "shape", "class", "packets", "n", "flagged", "settled", "final", "bytes",
]  # fmt: skip
WHOLE = 0
PACKET_LISTS = (*GROUPS["packets"], "pkt_payload")
RECORD_LISTS = ("tls_dir", "tls_type", "tls_len", "tls_t_ns")
CLIENT_FACTS: Row = {
    "sni": "",
    "alpn": "",
    "ja3": "",
    "ja4": "",
    "ja4_r": "",
    "client_hello": b"",
    "tls_record_version": -1,
}
SERVER_FACTS: Row = {
    "alpn_selected": "",
    "ja3s": "",
    "server_hello": b"",
    "tls_version": -1,
    "tls_cipher": -1,
}
HANDSHAKE = 22
FIN, SYN, RST = 1, 2, 4


def cut(flows: pd.DataFrame, packets: int) -> pd.DataFrame:
    """The flows after their first `packets` packets, empty ones included, as a gateway would know them by then.

    Lists, first payloads, stream heads, records, bursts, hellos and flags are cut; counters are those of the packets
    kept. Columns of the whole table that name the flow, and its truth, stay.
    """
    names = [name for name in flows.columns if not name.startswith("truth_")]
    cells_ = zip(*(flows[name] for name in names), strict=True)
    rows = [_cut(dict(zip(names, cell, strict=True)), packets) for cell in cells_]
    short = {name: _column([row[name] for row in rows], flows[name]) for name in names}
    return flows.assign(**short)


def _column(values: list[Any], like: pd.Series[Any]) -> pd.Series[Any]:
    return pd.Series(values, index=like.index, dtype=like.dtype)


def _cut(row: Row, packets: int) -> Row:
    if len(row["pkt_len"]) <= packets:
        return row
    first = {name: row[name][:packets] for name in PACKET_LISTS if name in row}
    ways, sizes = np.asarray(first["pkt_dir"], np.int64), np.asarray(first["pkt_len"], np.int64)
    end_ns = int(row["t_first_ns"]) + int(np.asarray(first["pkt_iat_ns"], np.int64).sum())
    known = row | first | _counted(first, ways, sizes) | {"t_last_ns": end_ns}
    known |= _streams(row, ways, sizes) | _bursts(ways, sizes) | _records(row, end_ns) | _flags(first)
    if "raw_frames" in row:
        kept = slice(min(packets, len(row["raw_frames"])))
        known |= {name: row[name][kept] for name in ("raw_frames", "raw_t_ns")}
    return {name: known[name] for name in row}


def _counted(first: Row, ways: np.ndarray[Any, Any], sizes: np.ndarray[Any, Any]) -> Row:
    datagrams = np.asarray(first["pkt_ip_len"], np.int64)
    out: Row = {}
    for way, name in ((1, "c2s"), (-1, "s2c")):
        mine = ways == way
        out |= {
            f"packets_{name}": int(mine.sum()),
            f"payload_packets_{name}": int((mine & (sizes > 0)).sum()),
            f"bytes_{name}": int(sizes[mine].sum()),
            f"ip_bytes_{name}": int(datagrams[mine].sum()),
            f"header_bytes_{name}": int((datagrams - sizes)[mine].sum()),
            f"retransmitted_{name}": 0,
            f"out_of_order_{name}": 0,
            f"gap_bytes_{name}": 0,
        }
    return out


def _streams(row: Row, ways: np.ndarray[Any, Any], sizes: np.ndarray[Any, Any]) -> Row:
    out: Row = {}
    for way, name in ((1, "c2s"), (-1, "s2c")):
        seen = int(sizes[ways == way].sum())
        out[f"stream_head_{name}"] = row[f"stream_head_{name}"][:seen]
        out[f"first_payload_{name}"] = row[f"first_payload_{name}"] if seen else b""
    return out


def _bursts(ways: np.ndarray[Any, Any], sizes: np.ndarray[Any, Any]) -> Row:
    ways, sizes = ways[sizes > 0], sizes[sizes > 0]
    starts = np.flatnonzero(np.diff(ways, prepend=0)) if len(ways) else np.zeros(0, np.int64)
    ends = np.append(starts[1:], len(ways))
    payload = np.add.reduceat(sizes, starts) if len(starts) else np.zeros(0, np.int64)
    return {
        "burst_dir": ways[starts].astype(np.int8),
        "burst_bytes": payload,
        "burst_packets": (ends - starts).astype(np.int32) if len(starts) else np.zeros(0, np.int32),
    }


def _records(row: Row, end_ns: int) -> Row:
    done = np.asarray(row["tls_t_ns"], np.int64) <= end_ns
    out: Row = {name: np.asarray(row[name])[done] for name in RECORD_LISTS}
    ways, types = np.asarray(out["tls_dir"]), np.asarray(out["tls_type"])
    for way, name in ((1, "c2s"), (-1, "s2c")):
        mine = int((ways == way).sum())
        whole = mine == int(row[f"tls_records_{name}"])
        out |= {
            f"tls_records_{name}": mine,
            f"tls_end_{name}": row[f"tls_end_{name}"] if whole else "partial",
        }
    out["is_tls"] = bool(row["is_tls"]) and bool(done.any())
    for way, facts in ((1, CLIENT_FACTS), (-1, SERVER_FACTS)):
        if not ((ways == way) & (types == HANDSHAKE)).any():
            out |= facts
    return out


def _flags(first: Row) -> Row:
    flags, ways = np.asarray(first["pkt_flags"], np.int64), np.asarray(first["pkt_dir"], np.int64)
    opened = [way for way, flag in zip(ways, flags, strict=True) if flag & SYN]
    answered = -1 in opened and 1 in opened
    return {
        "syn_seen": bool(opened),
        "handshake_seen": answered and bool(((ways == 1) & (flags & SYN == 0)).any()),
        "fin_seen": bool((flags & FIN).any()),
        "rst_seen": bool((flags & RST).any()),
    }


def until_verdict(trial: Trial, capture: str, shortened: Sequence[tuple[int, pd.DataFrame]]) -> pd.DataFrame:
    """A row per cell and k: how many flows are acted on after k packets, and for how many that holds to the end.

    `shortened` pairs each k with the flows cut to it. A verdict is settled at k when the flow is acted on at k, at
    every later k, and on the whole. k = 0 stands for the whole flow; `bytes` is the median payload seen by then.
    """
    at = [
        (k, acted_on(trial.again(flows)), _payload_bytes(flows))
        for k, flows in sorted(shortened, key=lambda s: s[0])
    ]
    at.append((WHOLE, trial.acted_on, (trial.flows["bytes_c2s"] + trial.flows["bytes_s2c"]).to_numpy()))
    settled = np.logical_and.accumulate([hits for _, hits, _ in at[::-1]])[::-1]
    rows = [
        {
            "detector": trial.name, "capture": capture, "transport": transport, "shape": shape, "class": class_,
            "packets": k, "n": int(mask.sum()), "flagged": int(hits[mask].sum()), "settled": int(held[mask].sum()),
            "final": int(trial.acted_on[mask].sum()), "bytes": float(np.median(size[mask])),
        }
        for (transport, shape, class_), mask in cells(trial.flows).items()
        for (k, hits, size), held in zip(at, settled, strict=True)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS)


def _payload_bytes(flows: pd.DataFrame) -> np.ndarray[Any, Any]:
    return flows["pkt_len"].map(lambda sizes: int(np.sum(sizes))).to_numpy()


def first_settled(table: pd.DataFrame, share: float = 0.5) -> pd.Series[Any]:
    """Per cell, the fewest packets after which `share` of the flows acted on in the end are so for good."""
    cut_ = table[(table["packets"] != WHOLE) & (table["final"] > 0)]
    enough = cut_[cut_["settled"] >= share * cut_["final"]]
    return enough.groupby(["detector", "capture", "transport", "shape"])["packets"].min()
