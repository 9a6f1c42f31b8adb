"""Deep packet inspection first, then deep flow inspection by cluster centres: a reconstruction.

The project (San Jose State University, 2011) publishes its ten flow features and that a flow is classified by a
database of labelled cluster centres, at most 400, after every packet. Its distance, how the centres were found, its
packet signatures and how it joins the two answers are not public. Reconstructed here: signatures decide first (the
strings of the wireshark rules); else the nearest Euclidean centre does, of k-means over flow snapshots after
`packets` packets; a centre's class is the majority of its labelled members. Features are raw as in the original's
call, or divided by their spread (`scaled`). The joint table per host is left out: hosts are another question.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.cluster.vq import kmeans2

from btresearch.detect.cells import rows, vectors
from btresearch.detect.contract import DetectorError, Verdict, abstain, answers, bittorrent, other
from btresearch.detect.payloads import Payloads
from btresearch.detect.signature import Rule
from btresearch.detect.wireshark import DEFAULT_RULES

Floats = npt.NDArray[np.float64]

MAX_CENTRES = 399  # 400 rows; the loader of the original leaves out the last
FEATURES = ("packets", "mean IP length", "header bytes", "IP bytes", "sent packets", "sent header bytes", "sent bytes",
            "received packets", "received header bytes", "received bytes")  # fmt: skip
SHAPE = ("pkt_dir", "pkt_len", "pkt_ip_len")
MINIMUM_PACKETS = 4  # a handshake and one more


def features(cells: Sequence[object], packets: int) -> Floats | None:
    """The ten features after `packets` packets, from the cells of SHAPE; None with fewer than MINIMUM_PACKETS."""
    way, payload, ip = (v[:packets] for v in vectors(*cells))
    if len(way) < MINIMUM_PACKETS:
        return None
    header = ip - payload
    per_way = [(len(ip[way == w]), header[way == w].sum(), ip[way == w].sum()) for w in (1, -1)]
    return np.array([len(ip), ip.mean(), header.sum(), ip.sum(), *per_way[0], *per_way[1]], dtype=np.float64)


@dataclass(frozen=True)
class Centres:
    """The database: a centre a row (scaled), the share of its members that were BitTorrent, and the scale."""

    at: Floats
    share: Floats
    scale: Floats

    def nearest(self, points: Floats) -> npt.NDArray[np.int64]:
        """Index of the nearest centre of each point (Euclidean)."""
        x = points / self.scale
        squares = (x**2).sum(axis=1)[:, None] - 2 * x @ self.at.T + (self.at**2).sum(axis=1)
        return np.asarray(squares.argmin(axis=1), dtype=np.int64)


def learn(points: Floats, positive: npt.NDArray[np.bool_], *, scaled: bool, seed: int) -> Centres:
    """Cluster the training flows and label each cluster by its members."""
    spread = points.std(axis=0)
    scale = np.where(spread > 0, spread, 1.0) if scaled else np.ones(points.shape[1])
    x = points / scale
    with warnings.catch_warnings():
        # An emptied cluster keeps its last centre, and is left out below.
        warnings.filterwarnings("ignore", message="One of the clusters is empty")
        centres, member = kmeans2(x, _seeds(x, seed), minit="matrix", seed=seed)
    size = np.bincount(member, minlength=len(centres))
    hits = np.bincount(member, weights=positive, minlength=len(centres))
    kept = size > 0
    return Centres(centres[kept], hits[kept] / size[kept], scale)


def _seeds(x: Floats, seed: int) -> Floats:
    """Distinct flows to start from, one centre for four of them at most."""
    distinct = np.unique(x, axis=0)
    count = min(MAX_CENTRES, max(1, len(distinct) // 4))
    return np.asarray(distinct[np.random.default_rng(seed).choice(len(distinct), count, replace=False)])


@dataclass(frozen=True, kw_only=True)
class DpiDfi:
    """Signatures, then the nearest labelled cluster centre of ten flow features."""

    packets: int = 20
    scaled: bool = True
    positive: str = "bt"
    seed: int = 2011
    centres: Centres | None = None
    rules: tuple[Rule, ...] = DEFAULT_RULES
    name: str = "dpi_dfi"
    version: str = "1"
    cites: tuple[str, ...] = (
        "Wong, BitTorrent traffic detection, San Jose State University 2011 (etd_projects/250): a reconstruction",
        "github.com/itsuwari/BitTorrent-Traffic-Detection-with-Deep-Flow-Inspection, dfi.c, util.c (features, centres)",
    )
    question: int = 2
    sees: tuple[str, ...] = ("proto", "pkt_dir", "pkt_len", "pkt_ip_len", "pkt_payload")
    needs: str = ""
    trained: bool = True

    def fit(self, flows: pd.DataFrame, truth: pd.Series[str], groups: pd.Series[str]) -> DpiDfi:
        """A copy with cluster centres. Raises DetectorError when no flow is long enough or indexes differ."""
        if not (flows.index.equals(truth.index) and flows.index.equals(groups.index)):
            raise DetectorError("dpi_dfi: flows, truth and groups need one index")
        points, usable = self._points(flows)
        if not len(points):
            raise DetectorError("dpi_dfi: no TCP flow to learn from has enough packets")
        positive = truth[usable].str.startswith(self.positive).to_numpy(dtype=bool)
        return replace(self, centres=learn(points, positive, scaled=self.scaled, seed=self.seed))

    def __call__(self, flows: pd.DataFrame) -> pd.DataFrame:
        """BitTorrent by signature or centre, other, or abstain (no TCP, too short, no model yet)."""
        verdicts = [abstain("not TCP, or too few packets for the ten features")] * len(flows)
        if self.centres is None:
            verdicts = [abstain("no model yet: call fit first")] * len(flows)
        else:
            points, usable = self._points(flows)
            nearest = self.centres.nearest(points) if len(points) else np.zeros(0, np.int64)
            for at, centre in zip(np.flatnonzero(usable), nearest, strict=True):
                verdicts[at] = _by_centre(int(centre), float(self.centres.share[centre]))
        for row, name in self._named(flows).items():
            verdicts[row] = bittorrent(f"DPI: {name}")
        return answers(flows.index, verdicts)

    def _points(self, flows: pd.DataFrame) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """The features of the usable flows, and which are."""
        found = [
            features(cells, self.packets) if proto == "tcp" else None
            for proto, *cells in rows(flows, ("proto", *SHAPE))
        ]
        points = [point for point in found if point is not None]
        usable = np.array([point is not None for point in found], dtype=bool)
        return np.array(points, dtype=np.float64).reshape(-1, len(FEATURES)), usable

    def _named(self, flows: pd.DataFrame) -> dict[int, str]:
        payloads = Payloads.of(flows, self.packets)
        return {
            int(row): rule.name for rule in self.rules for row in np.unique(payloads.row[rule.test(payloads)])
        }


def _by_centre(centre: int, share: float) -> Verdict:
    why = f"DFI: centre {centre}, {share:.0%} of whose flows in training were BitTorrent"
    return bittorrent(why, share) if share > 0.5 else other(why, share)


DETECTOR = DpiDfi()
