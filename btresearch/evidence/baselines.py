"""Two classifiers that no claim rests on: what guessing gives, and what identifiers alone give."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from btresearch.detect.contract import Verdict, abstain, answers, bittorrent, other

POSITIVE = "bt_"
HOUR_NS = 3600 * 10**9
PORTS_PER_TOKEN = 1024
IDENTIFIERS = ("src", "sport", "dst", "dport", "sni", "t_first_ns")


@dataclass(frozen=True, kw_only=True)
class Dummy:
    """Guesses BitTorrent at random, as often as it was in training, and looks at nothing."""

    seed: int = 0
    prior: float | None = None
    name: str = "dummy"
    version: str = "1"
    cites: tuple[str, ...] = ()
    question: int = 1
    sees: tuple[str, ...] = ("proto",)
    needs: str = ""
    trained: bool = True

    def fit(self, flows: pd.DataFrame, truth: pd.Series[str], groups: pd.Series[str]) -> Dummy:
        """A copy that knows the share of BitTorrent."""
        return replace(self, prior=float(truth.str.startswith(POSITIVE).mean()))

    def __call__(self, flows: pd.DataFrame) -> pd.DataFrame:
        """A random score; BitTorrent where it is below the prior."""
        if self.prior is None:
            return answers(flows.index, [abstain("no prior yet: call fit first")] * len(flows))
        which = zlib.crc32(
            flows.index.to_numpy(np.int64).tobytes()
        )  # else every fold would have the same luck
        luck = np.random.default_rng([self.seed, which]).random(len(flows))
        return answers(flows.index, [self._guess(float(one)) for one in luck])

    def _guess(self, luck: float) -> Verdict:
        why = f"a guess with the prior {self.prior:.3f}"
        return bittorrent(why, 1 - luck) if luck < (self.prior or 0.0) else other(why, 1 - luck)


@dataclass(frozen=True, kw_only=True)
class IdentifierOnly:
    """Naive Bayes over addresses, ports, server name and hour: whatever it finds is the lab, not the protocol."""

    weights: Mapping[tuple[str, object], float] | None = field(default=None, repr=False)
    name: str = "identifier_only"
    version: str = "1"
    cites: tuple[str, ...] = ()
    question: int = 3
    sees: tuple[str, ...] = IDENTIFIERS
    needs: str = "a control: what identifiers alone give away"
    trained: bool = True

    def fit(self, flows: pd.DataFrame, truth: pd.Series[str], groups: pd.Series[str]) -> IdentifierOnly:
        """A copy with the log odds of every token (Laplace's rule)."""
        positive = truth.str.startswith(POSITIVE).to_numpy()
        ours: Counter[tuple[str, object]] = Counter()
        theirs: Counter[tuple[str, object]] = Counter()
        for found, yes in zip(_tokens(flows), positive, strict=True):
            (ours if yes else theirs).update(found)
        n, m = int(positive.sum()), int((~positive).sum())
        met = ours.keys() | theirs.keys()
        odds = {t: float(np.log((ours[t] + 1) / (n + 2)) - np.log((theirs[t] + 1) / (m + 2))) for t in met}
        return replace(self, weights=odds)

    def __call__(self, flows: pd.DataFrame) -> pd.DataFrame:
        """BitTorrent where the sum of log odds is above zero; tokens never met say nothing."""
        if self.weights is None:
            return answers(flows.index, [abstain("no model yet: call fit first")] * len(flows))
        sums = [sum(self.weights.get(token, 0.0) for token in found) for found in _tokens(flows)]
        return answers(flows.index, [_by_odds(one) for one in sums])


def _by_odds(odds: float) -> Verdict:
    score, why = float(1 / (1 + np.exp(-np.clip(odds, -50, 50)))), f"log odds {odds:.2f} of the identifiers"
    return bittorrent(why, score) if odds > 0 else other(why, score)


def _tokens(flows: pd.DataFrame) -> Iterator[list[tuple[str, object]]]:
    """Source ports and times in steps, so that they can recur; the rest as it is."""
    for src, sport, dst, dport, sni, t_ns in zip(*(flows[name] for name in IDENTIFIERS), strict=True):
        steps = [("sport", int(sport) // PORTS_PER_TOKEN), ("hour", int(t_ns) // HOUR_NS)]
        yield [("src", src), ("dst", dst), ("dport", int(dport)), ("sni", sni), *steps]
