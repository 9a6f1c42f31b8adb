"""A trial: one detector on the flows of one capture kind, each flow tested once, with a frozen threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from btresearch.detect import Detector, Trainable
from btresearch.detect.contract import ANSWER
from btresearch.evidence import thresholds
from btresearch.evidence.judge import fitted, judge, judge_with, learnable, protocol_names
from btresearch.evidence.matrix import ACTED_ON
from btresearch.evidence.splits import Mask, Split


@dataclass(frozen=True, eq=False)
class Trial:
    """Who was tested by which model.

    `answers` has a row per flow: score, verdict, why, and per FPR of `thresholds.LIMITS` the threshold that was
    frozen for the flow's fold (`threshold tpr@1e-2`, ...) and whether its score reaches it (`tpr@1e-2`, ...).
    `models` stand beside `splits`; a rule is its own model. A str says why there is no model.
    """

    name: str
    detector: Detector
    flows: pd.DataFrame = field(repr=False)
    splits: tuple[Split, ...]
    models: tuple[Detector | str, ...] = field(repr=False)
    answers: pd.DataFrame = field(repr=False)

    @property
    def scores(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Each flow's score from the model that never met its session."""
        return self.answers["score"].to_numpy(np.float64)

    @property
    def acted_on(self) -> Mask:
        """Flows on which a censor would act: named or flagged."""
        return acted_on(self.answers)

    def again(self, flows: pd.DataFrame) -> pd.DataFrame:
        """The same models' answers to the same flows in another form, such as cut short."""
        if not isinstance(self.detector, Trainable):
            return judge(self.detector, flows)
        parts = [
            judge_with(model, flows[split.test])
            for split, model in zip(self.splits, self.models, strict=True)
        ]
        return pd.concat([part for part in parts if len(part)]).loc[flows.index]


def acted_on(answers: pd.DataFrame) -> Mask:
    """Which answers a censor would act on."""
    return answers["verdict"].isin(ACTED_ON).to_numpy(dtype=bool)


def run(
    name: str,
    detector: Detector,
    flows: pd.DataFrame,
    splits: Sequence[Split],
    *,
    adaptive: bool = True,
    truth: pd.Series[str] | None = None,
) -> Trial:
    """Train on each split's training sessions, freeze thresholds on its validation sessions, test once.

    A rule needs no training, so its thresholds are frozen on the training sessions too. `truth` (by default
    `protocol_names`) is what a model learns; without `adaptive`, only from transports of the literature.

    Raises:
        MissingTool: this machine lacks the detector's engine.
    """
    negative = (flows["truth_class"] == "cover").to_numpy()
    if not isinstance(detector, Trainable):
        answered = judge(detector, flows)
        tested = [_tested(answered, split.train | split.validation, split.test, negative) for split in splits]
        return Trial(name, detector, flows, tuple(splits), (detector,) * len(splits), _joined(tested, flows))
    names = protocol_names(flows) if truth is None else truth
    usable, models, tested = learnable(flows, adaptive=adaptive), [], []
    for split in splits:
        models.append(fitted(detector, flows[split.train & usable], names))
        met = split.validation | split.test
        answered = judge_with(models[-1], flows[met])
        tested.append(_tested(answered, split.validation[met], split.test[met], negative[met]))
    return Trial(name, detector, flows, tuple(splits), tuple(models), _joined(tested, flows))


def _tested(answered: pd.DataFrame, validation: Mask, test: Mask, negative: Mask) -> pd.DataFrame:
    """The test flows' answers, with the thresholds that the validation flows' scores set."""
    calm, out = answered["score"].to_numpy(np.float64)[validation & negative], answered[test].copy()
    for limit in thresholds.LIMITS:
        metric, threshold = thresholds.metric(limit), thresholds.freeze(calm, limit)
        out[f"threshold {metric}"] = threshold
        out[metric] = (out["score"] >= threshold).astype(np.float64)
    return out


def _joined(tested: Sequence[pd.DataFrame], flows: pd.DataFrame) -> pd.DataFrame:
    some = [part for part in tested if len(part)]
    columns = [*ANSWER, *(f"threshold {m}" for m in thresholds.METRICS), *thresholds.METRICS]
    return pd.concat(some).loc[flows.index, columns] if some else pd.DataFrame(columns=columns)
