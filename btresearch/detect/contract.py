"""What a detector is, and the table that it answers with.

A detector is one frozen dataclass: its fields are its parameters, calling it maps a flow table to
one verdict per flow, and nothing else happens. It names the columns that it `sees`; the registry
hands it those and no others, so a claim about sizes cannot rest on ports.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol, runtime_checkable

import pandas as pd

from btresearch.errors import BtresearchError

BITTORRENT = "bittorrent"  # the rule names BitTorrent
FLAGGED = "flagged"  # a suspicion that a censor would act on, but no name
OTHER = "other"  # looked, and nothing found
ABSTAIN = "abstain"  # the rule does not apply to this flow, or cannot say
VERDICTS = (BITTORRENT, FLAGGED, OTHER, ABSTAIN)

ANSWER = ("score", "verdict", "why")
TABLE = ("capture", "flow_id", "detector", "version", *ANSWER)

# Identifiers, absolute times and names (evaluation protocol, rule 3): a detector that sees one of
# these says in `needs` why its question cannot be asked without it.
_IDENTIFIERS = {"capture", "flow_id", "src", "sport", "dst", "dport", "raw_frames"}
_ABSOLUTE_TIMES = {"t_first_ns", "t_last_ns", "tls_t_ns", "raw_t_ns"}
WITHHELD = frozenset(_IDENTIFIERS | _ABSOLUTE_TIMES | {"sni", "client_hello"})


class DetectorError(BtresearchError):
    """A detector that breaks the contract, is unknown, or is named twice."""


class Verdict(NamedTuple):
    """One flow's answer: a score in [0, 1], a word of VERDICTS, and one line with rule and numbers."""

    score: float
    verdict: str
    why: str


def bittorrent(why: str, score: float = 1.0) -> Verdict:
    """The rule names BitTorrent."""
    return Verdict(score, BITTORRENT, why)


def flagged(why: str, score: float = 1.0) -> Verdict:
    """The rule raises a suspicion without a name."""
    return Verdict(score, FLAGGED, why)


def other(why: str, score: float = 0.0) -> Verdict:
    """The rule applies and finds nothing."""
    return Verdict(score, OTHER, why)


def abstain(why: str) -> Verdict:
    """The rule cannot be asked of this flow."""
    return Verdict(0.0, ABSTAIN, why)


@runtime_checkable
class Detector(Protocol):
    """The seven facts of a detector, and the call."""

    @property
    def name(self) -> str:
        """Unique among the registered detectors."""

    @property
    def version(self) -> str:
        """Changes whenever a verdict could change; stands in every row of a verdict table."""

    @property
    def cites(self) -> tuple[str, ...]:
        """Where the rule and each constant come from."""

    @property
    def question(self) -> int:
        """1: what do the first packets give away; 2: the flow's shape; 3: the host's behaviour."""

    @property
    def sees(self) -> tuple[str, ...]:
        """The flow columns that it is given."""

    @property
    def needs(self) -> str:
        """Why the question needs a column of WITHHELD; empty when it sees none."""

    @property
    def trained(self) -> bool:
        """Whether it is a model that has to be fitted (see `Trainable`)."""

    def __call__(self, flows: pd.DataFrame) -> pd.DataFrame:
        """One row of `score`, `verdict`, `why` per flow, under the same index."""


@runtime_checkable
class Trainable(Detector, Protocol):
    """A detector with a model: `fit` returns a fitted copy, and an unfitted one abstains."""

    def fit(self, flows: pd.DataFrame, truth: pd.Series[str], groups: pd.Series[str]) -> Trainable:
        """Learn from flows, their true classes and their capture sessions (all on one index)."""


def answers(index: pd.Index, verdicts: Iterable[Verdict]) -> pd.DataFrame:
    """Verdicts in the order of `index` as the table that a detector returns."""
    table = pd.DataFrame.from_records(list(verdicts), columns=list(ANSWER))
    table.index = index
    return table.astype({"score": "float64", "verdict": "object", "why": "object"})


def check(detector: Detector, flows: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Return `table` unchanged, or raise DetectorError that says how it breaks the contract."""
    wrong = _breach(flows, table)
    if wrong:
        raise DetectorError(f"detector {detector.name}: {wrong}")
    return table


def _breach(flows: pd.DataFrame, table: pd.DataFrame) -> str:
    if tuple(table.columns) != ANSWER:
        return f"answers with the columns {list(table.columns)}, not {list(ANSWER)}"
    if not table.index.equals(flows.index):
        return "answers under another index than the flows'"
    if not table["score"].between(0.0, 1.0).all():
        return "gives a score outside [0, 1]"
    strange = set(table["verdict"]) - set(VERDICTS)
    if strange:
        return f"gives the verdict {strange.pop()!r}"
    if not all(isinstance(why, str) and why and "\n" not in why for why in table["why"]):
        return "gives a reason that is not one line"
    return ""
