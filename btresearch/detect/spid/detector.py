"""SPID as a detector: nearest model by mean divergence, or unknown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from btresearch.detect.contract import ABSTAIN, DetectorError, Verdict, abstain, answers, bittorrent, other
from btresearch.detect.spid.meters import SETS, THRESHOLDS_BITS, tallies
from btresearch.detect.spid.model import Batch, Models, Reals, train
from btresearch.detect.spid.packets import Bools, Counts, Ints, Packets
from btresearch.detect.spid.session import COLUMNS, measured

Mode = Literal["faithful", "fixed"]

BATCH_FLOWS = 512  # keeps a meter's counters (1 MB) in the processor's cache


@dataclass(frozen=True, kw_only=True)
class Spid:
    """Statistical Protocol IDentification over the first frames of a flow.

    Classes are the strings of `truth` in `fit`; those that begin with `positive` are BitTorrent's.
    `mode` "faithful" keeps the quirks of release 0.4.6, "fixed" repairs them. `meters` is "default" (15) or
    "all" (34); without a `threshold_bits` the release's for that set holds.
    """

    mode: Mode = "faithful"
    window_frames: int = 20
    threshold_bits: float | None = None
    meters: str = "default"
    positive: str = "bt"
    models: Models | None = None
    name: str = "spid"
    version: str = "1"
    cites: tuple[str, ...] = (
        "Hjelmvik and John, Breaking and Improving Protocol Obfuscation, Chalmers TR 2010-05",
        "SPID Algorithm Proof of Concept 0.4.6 (2010-04-17), attribute meters and smoothing",
        "Hjelmvik, The SPID Algorithm, .SE report, p. 14 (number of training sessions)",
    )
    question: int = 2
    sees: tuple[str, ...] = COLUMNS
    needs: str = ""
    trained: bool = True

    @property
    def threshold(self) -> float:
        """Mean divergence in bits that the nearest model must stay below."""
        return THRESHOLDS_BITS[self.meters] if self.threshold_bits is None else self.threshold_bits

    @property
    def faithful(self) -> bool:
        """Whether the quirks of the release are kept."""
        return self.mode == "faithful"

    def fit(self, flows: pd.DataFrame, truth: pd.Series[str], groups: pd.Series[str]) -> Spid:
        """A copy with one model per class in `truth`; flows without a session are left out.

        Raises DetectorError when no flow has a session or the three inputs differ in their index.
        """
        if not (flows.index.equals(truth.index) and flows.index.equals(groups.index)):
            raise DetectorError("spid: flows, truth and groups need one index")
        names, met = truth.to_numpy(dtype=str), groups.to_numpy(dtype=str)
        batches = (Batch(names[at], met[at], self._tallies(packets)) for at, packets in self._sessions(flows))
        return replace(self, models=train(batches, faithful=self.faithful))

    def __call__(self, flows: pd.DataFrame) -> pd.DataFrame:
        """BitTorrent or other by the nearest model; abstains when none is near enough (unknown)."""
        if self.models is None:
            return answers(flows.index, [abstain("no model yet: call fit first")] * len(flows))
        return answers(flows.index, self._verdicts(self.distances(flows)))

    def distances(self, flows: pd.DataFrame) -> pd.DataFrame:
        """Mean divergence in bits to each class, NaN where the flow has no session; for sweeps."""
        models = self._fitted()
        table = np.full((len(flows), len(models.classes)), np.nan)
        for at, packets in self._sessions(flows):
            table[at] = models.distances(self._tallies(packets))
        return pd.DataFrame(table, index=flows.index, columns=list(models.classes))

    def divergences(self, flows: pd.DataFrame) -> pd.DataFrame:
        """What the distances are the means of: columns of two levels, class and meter."""
        models = self._fitted()
        columns = pd.MultiIndex.from_product([models.classes, SETS[self.meters]], names=["class", "meter"])
        table = np.full((len(flows), len(columns)), np.nan)
        for at, packets in self._sessions(flows):
            table[at] = models.divergences(self._tallies(packets)).reshape(len(at), -1)
        return pd.DataFrame(table, index=flows.index, columns=columns)

    def _fitted(self) -> Models:
        if self.models is None:
            raise DetectorError("spid: no model yet: call fit first")
        return self.models

    def _sessions(self, flows: pd.DataFrame) -> Iterator[tuple[Ints, Packets]]:
        """Batches of sessions, with their flows' positions in the table."""
        for start in range(0, len(flows), BATCH_FLOWS):
            part = flows.iloc[start : start + BATCH_FLOWS]
            at, packets = measured(part, self.window_frames, faithful=self.faithful)
            if packets.sessions:
                yield start + at, packets

    def _tallies(self, packets: Packets) -> Iterator[Counts]:
        return tallies(packets, self.meters, faithful=self.faithful)

    def _verdicts(self, distances: pd.DataFrame) -> Iterator[Verdict]:
        table = distances.to_numpy()
        scores = _scores(table, np.array([name.startswith(self.positive) for name in distances.columns]))
        some = ~np.isnan(table).all(axis=1)
        nearest = np.where(some[:, None], table, np.inf).argmin(axis=1)
        for row, best, score, met in zip(
            table, nearest.tolist(), scores.tolist(), some.tolist(), strict=True
        ):
            name, distance = distances.columns[best], float(row[best])
            yield self._decide(name, distance, score) if met else abstain("no whole session start")

    def _decide(self, name: str, distance: float, score: float) -> Verdict:
        why = f"nearest model {name} at {distance:.3f} bits, threshold {self.threshold} ({self.mode})"
        if distance >= self.threshold:
            return Verdict(score, ABSTAIN, f"unknown: {why}")
        return (bittorrent if name.startswith(self.positive) else other)(why, score)


def _scores(distances: Reals, positive: Bools) -> Reals:
    """0.5 where the nearest BitTorrent model and the nearest other one are equally far."""
    ours = np.maximum(distances[:, positive].min(axis=1, initial=np.inf), 0.0)
    theirs = np.maximum(distances[:, ~positive].min(axis=1, initial=np.inf), 0.0)
    if not positive.any():
        return np.zeros(len(distances))
    if positive.all():
        return np.asarray(np.exp2(-ours))
    total = ours + theirs
    return np.asarray(np.divide(theirs, total, out=np.full(len(total), 0.5), where=total > 0))


DETECTOR = Spid()

WINDOWS_FRAMES = (20, 100)  # the release's window, and the one that its shipped models were trained on
MODES: tuple[Mode, ...] = ("faithful", "fixed")
# Every reading of the method under a name of its own, so that they can stand side by side in one verdict table.
VARIANTS = tuple(
    Spid(name=f"spid_{meters}_{window}_{mode}", meters=meters, window_frames=window, mode=mode)
    for meters in SETS
    for window in WINDOWS_FRAMES
    for mode in MODES
)
