"""Controls: results that are known beforehand. Where one comes out otherwise, no other table counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import t as student_t

from btresearch.detect import Detector, Trainable
from btresearch.evidence import leaks, trial
from btresearch.evidence.baselines import Dummy, IdentifierOnly
from btresearch.evidence.intervals import clopper_pearson, session_bootstrap
from btresearch.evidence.judge import protocol_names
from btresearch.evidence.separability import Area, auc, auc_within
from btresearch.evidence.splits import Mask, Split, session_folds

COLUMNS = [
    "control", "detector", "capture", "n", "sessions", "metric", "value", "low", "high", "expected", "holds", "said",
]  # fmt: skip
LEVEL = 0.999
"""Controls are many and each must hold: at 95 % one in twenty would fail by chance."""
DEALS = 8
FEWEST_SESSIONS = 4
ROUNDING = 1e-9
CHANCE = "0.5"
NO_AREA = Area(np.nan, 0.0, 1.0)
A, B = "bt_a", "b"

Row = dict[str, Any]
Folds = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Setting:
    """What every control of one capture kind shares."""

    flows: pd.DataFrame
    splits: Sequence[Split]
    capture: str
    seed: int
    folds: int

    @property
    def sessions(self) -> np.ndarray[Any, Any]:
        """Each flow's capture session."""
        return self.flows["truth_session"].to_numpy(dtype=object)

    @property
    def positive(self) -> Mask:
        """Which flows are BitTorrent."""
        return (self.flows["truth_class"] == "bittorrent").to_numpy(dtype=bool)


def controls(flows: pd.DataFrame, splits: Sequence[Split], detectors: Sequence[Detector], capture: str,
             *, seed: int, folds: int) -> pd.DataFrame:  # fmt: skip
    """Every control on the flows of one capture kind; trained detectors stand for the shuffled and coin-toss ones.

    Without a trained detector among `detectors` the identifier-only classifier stands in. `holds` is missing where
    the corpus can't say or nothing is expected.
    """
    here = Setting(flows, splits, capture, seed, folds)
    learners = [one for one in detectors if isinstance(one, Trainable)] or [IdentifierOnly()]
    rows = [*_dummy(here), _identifiers(here), *_planted(here)]
    for learner in learners:
        rows += [_shuffled(here, learner), _coin_toss(here, learner)]
    return pd.DataFrame([{"capture": capture} | row for row in rows], columns=COLUMNS)


def _dummy(here: Setting) -> Iterator[Row]:
    """Guesses: an AUC of one half, and flags as often as BitTorrent occurs."""
    guessed = trial.run("dummy", Dummy(seed=here.seed), here.flows, here.splits)
    area = auc(guessed.scores, here.positive, here.sessions, seed=here.seed, level=LEVEL)
    yield _row("dummy", "dummy", here.sessions, "auc", area, CHANCE, _at_chance(area))
    prior, hits = float(here.positive.mean()), guessed.acted_on
    exact = clopper_pearson(int(hits.sum()), len(hits), level=LEVEL)
    by_session = session_bootstrap(hits, list(here.sessions), seed=here.seed, level=LEVEL)
    area = Area(float(hits.mean()), min(exact[0], by_session[0]), max(exact[1], by_session[1]))
    holds = bool(area.low <= prior <= area.high)
    yield _row("dummy", "dummy", here.sessions, "flagged", area, f"{prior:.3f} (the prior)", holds)


def _identifiers(here: Setting) -> Row:
    """Shown, not judged: how far addresses, ports, names and times alone go in this lab."""
    known = trial.run("identifier_only", IdentifierOnly(), here.flows, here.splits)
    area = auc(known.scores, here.positive, here.sessions, seed=here.seed)
    said = "what the lab's identifiers give away; detectors see them only where their question needs them"
    return _row("identifiers", "identifier_only", here.sessions, "auc", area, "", None, said)


def _planted(here: Setting) -> Iterator[Row]:
    """The audit must flag a column that is tied to the label and leave noise alone."""
    found = leaks.audit(
        leaks.planted(here.flows, seed=here.seed),
        here.capture,
        seed=here.seed,
        columns=[leaks.PLANTED, leaks.NOISE],
    )
    for column, caught in ((leaks.PLANTED, True), (leaks.NOISE, False)):
        rows = found[found["column"] == column]
        flagged = rows.groupby(["transport", "shape"])["shortcut"].any()
        area = max((Area(*row) for row in rows[["auc", "low", "high"]].to_numpy()), default=NO_AREA)
        holds = bool((flagged == caught).all()) if len(rows) else None
        said = f"the audit flagged it for {int(flagged.sum())} of {len(flagged)} transports"
        expected = "a shortcut" if caught else "no shortcut"
        yield _row(f"planted: {column}", "leak audit", here.sessions, "auc", area, expected, holds, said)


def _shuffled(here: Setting, learner: Trainable) -> Row:
    """Labels dealt anew to whole sessions, alike often in each fold: nothing is left to learn."""
    fold = session_folds(here.flows, here.folds)
    areas = [
        _dealt(learner, here.flows, here.splits, fold, shuffled(here.flows, fold, seed=here.seed + deal))
        for deal in range(DEALS)
    ]
    area, said = over_deals(areas), f"mean of {DEALS} deals"
    return _row("shuffled labels", learner.name, here.sessions, "auc", area, CHANCE, _at_chance(area), said)


def _dealt(
    learner: Trainable, flows: pd.DataFrame, splits: Sequence[Split], fold: Folds, labels: pd.Series[str]
) -> float:
    """AUC against dealt labels, over pairs of flows that the same model judged.

    Pairs of two folds would fall below chance: each flow's label has trained the model that judges the other.
    """
    tried = trial.run(learner.name, learner, flows, splits, truth=labels)
    positive = labels.str.startswith("bt").to_numpy(bool)
    return auc_within(tried.scores, positive, fold)


def over_deals(areas: Sequence[float]) -> Area:
    """Mean and t interval (level `LEVEL`) of the AUCs of several deals; without an AUC, nothing is known."""
    known = np.array([one for one in areas if not np.isnan(one)])
    if len(known) < 2:
        return NO_AREA
    reach = float(student_t.ppf((1 + LEVEL) / 2, len(known) - 1) * known.std(ddof=1) / np.sqrt(len(known)))
    mean = float(known.mean())
    return Area(mean, max(0.0, mean - reach), min(1.0, mean + reach))


def shuffled(flows: pd.DataFrame, fold: Folds, *, seed: int) -> pd.Series[str]:
    """Class names permuted among the sessions of each fold, so that no fold gives another's share away."""
    first = pd.DataFrame(
        {"name": protocol_names(flows), "session": flows["truth_session"], "fold": fold}
    ).drop_duplicates("session")
    random = np.random.default_rng(seed)
    dealt: dict[str, str] = {}
    for _, group in first.groupby("fold"):
        dealt |= dict(zip(group["session"], random.permutation(group["name"].to_numpy()), strict=True))
    return flows["truth_session"].map(dealt)


def _coin_toss(here: Setting, learner: Trainable) -> Row:
    """One application's TLS sessions, half of them called BitTorrent: there is nothing to find."""
    kind, flows = one_application(here.flows)
    if flows["truth_session"].nunique() < FEWEST_SESSIONS:
        said = f"no application with {FEWEST_SESSIONS} sessions of TLS"
        return _row("TLS against TLS", learner.name, np.array([]), "auc", NO_AREA, CHANCE, None, said)
    fold, sessions = session_folds(flows, 2), flows["truth_session"].to_numpy(dtype=object)
    splits = [Split(fold != k, np.zeros(len(flows), bool), fold == k, sessions) for k in (0, 1)]
    areas = [
        _dealt(learner, flows, splits, fold, halves(flows, fold, seed=here.seed + deal))
        for deal in range(DEALS)
    ]
    area, said = over_deals(areas), f"{kind}: half its sessions against the other half, mean of {DEALS} deals"
    return _row("TLS against TLS", learner.name, sessions, "auc", area, CHANCE, _at_chance(area), said)


def one_application(flows: pd.DataFrame) -> tuple[str, pd.DataFrame]:
    """The kind of TLS cover with the most sessions, and its flows."""
    tls = flows[(flows["truth_class"] == "cover") & flows["is_tls"].astype(bool)]
    if tls.empty:
        return "", tls
    kind = tls.groupby("truth_kind")["truth_session"].nunique().idxmax()
    return str(kind), tls[tls["truth_kind"] == kind]


def halves(flows: pd.DataFrame, fold: Folds, *, seed: int) -> pd.Series[str]:
    """One of two class names for each session, half of each fold's sessions each."""
    pairs = pd.DataFrame({"session": flows["truth_session"], "fold": fold}).drop_duplicates("session")
    random = np.random.default_rng(seed)
    dealt: dict[str, str] = {}
    for _, group in pairs.groupby("fold"):
        order = random.permutation(sorted(group["session"]))
        dealt |= {name: A if place % 2 else B for place, name in enumerate(order)}
    return flows["truth_session"].map(dealt)


def _at_chance(area: Area) -> bool | None:
    return None if np.isnan(area.value) else bool(area.low - ROUNDING <= 0.5 <= area.high + ROUNDING)


def _row(control: str, detector: str, sessions: np.ndarray[Any, Any], metric: str, area: Area, expected: str,
         holds: bool | None, said: str = "") -> Row:  # fmt: skip
    return {
        "control": control, "detector": detector, "n": len(sessions), "sessions": len(set(sessions)), "metric": metric,
        "value": area.value, "low": area.low, "high": area.high, "expected": expected, "holds": holds, "said": said,
    }  # fmt: skip
