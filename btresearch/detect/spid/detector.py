"""SPID as a detector: nearest model by mean divergence, or unknown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from btresearch.detect.cells import rows
from btresearch.detect.contract import ABSTAIN, DetectorError, Verdict, abstain, answers, bittorrent, other
from btresearch.detect.spid.meters import Session
from btresearch.detect.spid.model import Counts, Models, count, train
from btresearch.detect.spid.session import Frames, measured

BATCH_SESSIONS = 512  # bounds the counters held at once to about 16 MB
RULE_OF_THUMB_SESSIONS = 26  # ".SE report" p. 14: good results from about a tenth of 256


@dataclass(frozen=True, kw_only=True)
class Spid:
    """Statistical Protocol IDentification over the first frames of a flow.

    Classes are the strings of `truth` in `fit`; those that begin with `positive` are BitTorrent's.
    `mode` "faithful" keeps the quirks of release 0.4.6, "fixed" repairs them.
    """

    mode: Literal["faithful", "fixed"] = "faithful"
    window_frames: int = 20
    threshold_bits: float = 2.04
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
    sees: tuple[str, ...] = Frames._fields
    needs: str = ""
    trained: bool = True

    def fit(self, flows: pd.DataFrame, truth: pd.Series[str], groups: pd.Series[str]) -> Spid:
        """A copy with one model per class in `truth`; flows without a session are left out.

        Raises DetectorError when no flow has a session or the three inputs differ in their index.
        """
        if not (flows.index.equals(truth.index) and flows.index.equals(groups.index)):
            raise DetectorError("spid: flows, truth and groups need one index")
        sessions = self._sessions(flows)
        usable = np.array([len(session) > 0 for session in sessions], dtype=bool)
        if not usable.any():
            raise DetectorError("spid: no flow to learn from has a whole session start")
        counts = count([session for session in sessions if session], self.meters)
        names = truth.to_numpy(dtype=str)[usable]
        trained_on = groups.to_numpy(dtype=str)[usable].tolist()
        return replace(self, models=train(counts, names, trained_on, faithful=self.mode == "faithful"))

    def __call__(self, flows: pd.DataFrame) -> pd.DataFrame:
        """BitTorrent or other by the nearest model; abstains when none is near enough (unknown)."""
        if self.models is None:
            return answers(flows.index, [abstain("no model yet: call fit first")] * len(flows))
        return answers(flows.index, self._verdicts(self.models, self._sessions(flows)))

    def distances(self, flows: pd.DataFrame) -> pd.DataFrame:
        """Mean divergence in bits to each class, NaN where the flow has no session; for sweeps."""
        if self.models is None:
            raise DetectorError("spid: no model yet: call fit first")
        sessions = self._sessions(flows)
        table = pd.DataFrame(np.nan, index=flows.index, columns=list(self.models.classes))
        usable = np.array([len(session) > 0 for session in sessions], dtype=bool)
        batches = list(self._distances(self.models, [session for session in sessions if session]))
        if batches:
            table.loc[usable] = np.concatenate(batches)
        return table

    def _sessions(self, flows: pd.DataFrame) -> list[Session]:
        every = (Frames.of(*row) for row in rows(flows, self.sees))
        return [measured(frames, self.window_frames, faithful=self.mode == "faithful") for frames in every]

    def _distances(self, models: Models, sessions: list[Session]) -> Iterator[npt.NDArray[np.float64]]:
        for start in range(0, len(sessions), BATCH_SESSIONS):
            counts: Counts = count(sessions[start : start + BATCH_SESSIONS], self.meters)
            yield models.distances(counts)

    def _verdicts(self, models: Models, sessions: list[Session]) -> Iterator[Verdict]:
        usable = [session for session in sessions if session]
        found = (row for batch in self._distances(models, usable) for row in batch)
        for session in sessions:
            yield self._decide(models, next(found)) if session else abstain("no whole session start")

    def _decide(self, models: Models, row: npt.NDArray[np.float64]) -> Verdict:
        best = int(row.argmin())
        name, distance = models.classes[best], float(row[best])
        score = _score(row, [c.startswith(self.positive) for c in models.classes])
        why = f"nearest model {name} at {distance:.3f} bits, threshold {self.threshold_bits} ({self.mode})"
        if distance >= self.threshold_bits:
            return Verdict(score, ABSTAIN, f"unknown: {why}")
        return (bittorrent if name.startswith(self.positive) else other)(why, score)


def _score(row: npt.NDArray[np.float64], positive: list[bool]) -> float:
    """0.5 where the nearest BitTorrent model and the nearest other one are equally far."""
    ours = min((d for d, yes in zip(row, positive, strict=True) if yes), default=np.inf)
    theirs = min((d for d, yes in zip(row, positive, strict=True) if not yes), default=np.inf)
    if np.isinf(ours):
        return 0.0
    if np.isinf(theirs):
        return float(np.exp2(-max(ours, 0.0)))
    return float(np.clip(theirs / (ours + theirs), 0.0, 1.0)) if ours + theirs > 0 else 0.5


DETECTOR = Spid()
