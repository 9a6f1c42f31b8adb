"""Controls: results that are known beforehand. Where one comes out otherwise, no other table counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from btresearch.detect import Detector, Trainable
from btresearch.evidence import leaks, trial
from btresearch.evidence.baselines import Dummy, IdentifierOnly
from btresearch.evidence.judge import protocol_names
from btresearch.evidence.rates import measured
from btresearch.evidence.separability import Area, auc
from btresearch.evidence.splits import Mask, Split, rotation, session_folds

COLUMNS = [
    "control", "detector", "capture", "n", "sessions", "metric", "value", "low", "high", "expected", "holds", "said",
]  # fmt: skip
LEVEL = 0.99
"""Controls are many and each must hold: at 95 % one in twenty would fail by chance."""
FEWEST_SESSIONS = 4
CHANCE = "0.5"
NO_AREA = Area(np.nan, 0.0, 1.0)
A, B = "bt_a", "b"

Row = dict[str, Any]


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
    prior, row = float(here.positive.mean()), measured(guessed.acted_on, here.sessions, seed=here.seed)
    area = Area(row["rate"], min(row["low"], row["session_low"]), max(row["high"], row["session_high"]))
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
    labels = shuffled(here.flows, here.folds, seed=here.seed)
    tried = trial.run(learner.name, learner, here.flows, here.splits, truth=labels)
    positive = labels.str.startswith("bt").to_numpy(bool)
    area = auc(tried.scores, positive, here.sessions, seed=here.seed, level=LEVEL)
    return _row("shuffled labels", learner.name, here.sessions, "auc", area, CHANCE, _at_chance(area))


def shuffled(flows: pd.DataFrame, folds: int, *, seed: int) -> pd.Series[str]:
    """Class names permuted among the sessions of each fold, so that no fold gives another's share away."""
    names = protocol_names(flows)
    first = pd.DataFrame(
        {"name": names, "session": flows["truth_session"], "fold": session_folds(flows, folds)}
    ).drop_duplicates("session")
    random = np.random.default_rng(seed)
    dealt: dict[str, str] = {}
    for _, group in first.groupby("fold"):
        dealt |= dict(zip(group["session"], random.permutation(group["name"].to_numpy()), strict=True))
    return flows["truth_session"].map(dealt)


def _coin_toss(here: Setting, learner: Trainable) -> Row:
    """One application's TLS sessions, half of them called BitTorrent: there is nothing to find."""
    kind, flows = one_application(here.flows)
    said = f"{kind}: half its sessions against the other half"
    count = flows["truth_session"].nunique()
    if count < FEWEST_SESSIONS:
        said = f"no application with {FEWEST_SESSIONS} sessions of TLS"
        return _row("TLS against TLS", learner.name, np.array([]), "auc", NO_AREA, CHANCE, None, said)
    labels = halves(flows, seed=here.seed)
    tried = trial.run(learner.name, learner, flows, rotation(flows, min(here.folds, count)), truth=labels)
    sessions = flows["truth_session"].to_numpy(dtype=object)
    area = auc(tried.scores, (labels == A).to_numpy(), sessions, seed=here.seed, level=LEVEL)
    return _row("TLS against TLS", learner.name, sessions, "auc", area, CHANCE, _at_chance(area), said)


def one_application(flows: pd.DataFrame) -> tuple[str, pd.DataFrame]:
    """The kind of TLS cover with the most sessions, and its flows."""
    tls = flows[(flows["truth_class"] == "cover") & flows["is_tls"].astype(bool)]
    if tls.empty:
        return "", tls
    kind = tls.groupby("truth_kind")["truth_session"].nunique().idxmax()
    return str(kind), tls[tls["truth_kind"] == kind]


def halves(flows: pd.DataFrame, *, seed: int) -> pd.Series[str]:
    """One of two class names for each session, half of the sessions each."""
    names = sorted(set(flows["truth_session"]))
    order = np.random.default_rng(seed).permutation(len(names))
    dealt = {names[at]: A if place % 2 else B for place, at in enumerate(order)}
    return flows["truth_session"].map(dealt)


def _at_chance(area: Area) -> bool | None:
    return None if np.isnan(area.value) else bool(area.low <= 0.5 <= area.high)


def _row(control: str, detector: str, sessions: np.ndarray[Any, Any], metric: str, area: Area, expected: str,
         holds: bool | None, said: str = "") -> Row:  # fmt: skip
    return {
        "control": control, "detector": detector, "n": len(sessions), "sessions": len(set(sessions)), "metric": metric,
        "value": area.value, "low": area.low, "high": area.high, "expected": expected, "holds": holds, "said": said,
    }  # fmt: skip
