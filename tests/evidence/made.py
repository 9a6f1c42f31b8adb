"""Corpora made by hand: flows with a truth, sessions and a few packets, and detectors that look at one number."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from btresearch.detect.contract import answers, bittorrent, other
from btresearch.evidence.corpus import Corpus
from tests.detect.wire import flow, records, table, talk

FLOWS = 4


def session(
    name: str, class_: str, *, flows: int = FLOWS, random: np.random.Generator, **facts: Any
) -> pd.DataFrame:
    """One capture session of TLS flows whose sizes are random; `facts` are columns, `truth_` ones included."""
    made = table(_row(random) for _ in range(flows))
    scenario = name.rpartition("-")[0]
    truth = {
        "session": name, "scenario": scenario, "class": class_, "shape": "", "kind": "", "client": "a", "server": "a",
        "tls_library": "x", "profile": "lan", "torrent": "", "capture_kind": "wire", "capture_name": name,
        "transport": "btls_basic" if class_ == "bittorrent" else "tls",
    }  # fmt: skip
    if class_ == "cover":
        truth |= {"kind": scenario, "client": scenario}
    columns = {f"truth_{key}": value for key, value in truth.items()} | {"mark": name, "signal": 0.0} | facts
    return made.assign(**{key: _repeated(value, flows) for key, value in columns.items()})


def _repeated(value: Any, flows: int) -> list[Any]:
    return list(value) if isinstance(value, (list, np.ndarray)) else [value] * flows


def _row(random: np.random.Generator) -> dict[str, Any]:
    sizes = random.integers(1, 1400, 12)
    messages = [
        (1 if k % 2 == 0 else -1, bytes([22, 3, 1]) + random.bytes(int(n))) for k, n in enumerate(sizes)
    ]
    ports = {"sport": int(random.integers(1024, 65535)), "dport": 443}
    sizes_of = {name: sum(len(p) for w, p in messages if w == way) for way, name in ((1, "c2s"), (-1, "s2c"))}
    counts = {f"bytes_{name}": size for name, size in sizes_of.items()}
    times = {"t_first_ns": int(random.integers(1, 3600 * 10**9)), "src": "10.0.0.1", "dst": "10.0.0.2"}
    return flow(**talk(messages), **records([(-1, int(n)) for n in sizes]), **ports, **times, **counts)


def corpus(parts: Iterable[pd.DataFrame]) -> Corpus:
    """The sessions as one corpus."""
    return Corpus(pd.concat(list(parts), ignore_index=True), {"made": "00"}, {}, 0, 0, {"tool": "1"})


def sessions(
    per_scenario: int = 8, *, seed: int = 1, gap: float = 2.0, flows: int = FLOWS, within: float = 1.0
) -> list[pd.DataFrame]:
    """Two scenarios of BitTorrent, two of cover; `signal` is normal with `within`, and `gap` higher for BitTorrent."""
    random = np.random.default_rng(seed)
    out = []
    for class_, scenario in (
        ("bittorrent", "lt"),
        ("bittorrent", "own"),
        ("cover", "web"),
        ("cover", "mail"),
    ):
        for k in range(per_scenario):
            signal = random.normal(gap if class_ == "bittorrent" else 0.0, within, flows)
            out.append(session(f"{scenario}-{k:03d}", class_, flows=flows, random=random, signal=signal))
    return out


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Scores a flow by the logistic of `signal`; BitTorrent above one half."""

    name: str = "rule"
    version: str = "1"
    cites: tuple[str, ...] = ()
    question: int = 1
    sees: tuple[str, ...] = ("signal",)
    needs: str = ""
    trained: bool = False

    def __call__(self, flows: pd.DataFrame) -> pd.DataFrame:
        scores = 1 / (1 + np.exp(-(flows["signal"] - 1)))
        return answers(flows.index, [(bittorrent if s > 0.5 else other)("signal", float(s)) for s in scores])


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Remembers which `mark`s (sessions) were BitTorrent: perfect where a session is in training, else at a loss."""

    known: frozenset[tuple[str, bool]] | None = None
    name: str = "memory"
    version: str = "1"
    cites: tuple[str, ...] = ()
    question: int = 2
    sees: tuple[str, ...] = ("mark",)
    needs: str = ""
    trained: bool = True

    def fit(self, flows: pd.DataFrame, truth: pd.Series, groups: pd.Series) -> Memory:
        return replace(self, known=frozenset(zip(flows["mark"], truth.str.startswith("bt"), strict=True)))

    def __call__(self, flows: pd.DataFrame) -> pd.DataFrame:
        known = self.known or frozenset()
        met = [0.5 + 0.5 * ((m, True) in known) - 0.5 * ((m, False) in known) for m in flows["mark"]]
        return answers(flows.index, [(bittorrent if s > 0.5 else other)("met", float(s)) for s in met])
