"""The pre-registered claims (paper/claims.toml), and how each is checked.

A claim is (what is expected, of which detector, over which cells, within which rates). The report prints the
expectation beside the finding, whichever way it falls. One that was changed or added after results were seen says
so (`Claim.revised`).
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from btresearch.errors import InputError, printable
from btresearch.evidence.evidence import Finding
from btresearch.evidence.intervals import clopper_pearson, resampled
from btresearch.evidence.matrix import CELL, pooled

PATH = Path(__file__).parents[2] / "paper" / "claims.toml"
GROUPS = ("E1", "E2", "E3", "E4", "E5", "E6")
RATES = ("flagged", "named", "tpr@1e-2", "tpr@1e-3", "tpr@1e-4")
METRICS = (*RATES, "value")
UNMEASURED = "no flow of these cells was captured or judged, or the detector is not installed"

MAX_FILE_BYTES = 1 << 20
MAX_CLAIMS = 500
MAX_TEXT_CHARS = 1000
MAX_VALUES = 50
MAX_N = 10**9

Where = Mapping[str, str | tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A prediction about one detector over some cells: `at_least` <= metric <= `at_most`.

    `metric` is one of METRICS; with `applicable` a rate is over the flows on which the detector did not abstain.
    With fewer flows than `minimum_n` the finding is "n too small". `revised` says how the claim was changed since it
    was first written; then it may owe something to results that were seen.
    """

    id: str
    group: str
    question: int
    adversary: str
    hypothesis: str
    detector: str
    at_least: float
    at_most: float
    caveat: str
    metric: str = "flagged"
    where: Where = field(default_factory=dict, hash=False)
    minimum_n: int = 1
    applicable: bool = False
    revised: str = ""

    def check(self, counted: pd.DataFrame, *, seed: int = 0, kind: str = "") -> Finding:
        """Compare the prediction with the rate over the sessions of `matrix.tally`; `kind` names their capture."""
        sums = self._pooled(counted)
        n = int(sums["n"].sum())
        if not n:
            return self._finding(0, UNMEASURED, None, kind)
        if n < self.minimum_n or sums[self.metric].isna().any():
            return self._finding(n, f"n too small: {n} flows, {self.minimum_n} are needed", None, kind)
        result, holds = self._compare(sums, seed)
        if self.applicable:
            result += f"; it abstained on {int(sums['abstained'].sum())} more"
        return self._finding(n, result, holds, kind)

    def measured(self, value: float, n: int, result: str, *, kind: str = "") -> Finding:
        """Compare the prediction with a `value` that the claim's module computed from `n` flows or handshakes."""
        if n < self.minimum_n:
            return self._finding(n, f"n too small: {n}, {self.minimum_n} are needed", None, kind)
        if not math.isfinite(value):
            return self._finding(n, UNMEASURED, None, kind)
        return self._finding(n, result, self.at_least <= value <= self.at_most, kind)

    def _pooled(self, counted: pd.DataFrame) -> pd.DataFrame:
        metric = () if self.metric in {"flagged", "named"} else (self.metric,)
        if not set(metric) <= set(counted.columns):
            return pooled(counted.iloc[:0])
        sums = pooled(counted, *metric, detector=self.detector, **self.where)
        if self.applicable:
            sums["n"] -= sums["abstained"]
            sums = sums[(sums["n"] > 0) | (sums["abstained"] > 0)]
        return sums

    def _finding(self, n: int, result: str, holds: bool | None, kind: str) -> Finding:
        caveat = self.caveat + (f" Revised: {self.revised}" if self.revised else "")
        name = f"{self.id} {kind}".rstrip()
        return Finding(name, self.question, self.adversary, self.hypothesis, n, result, holds, caveat)

    def _compare(self, sums: pd.DataFrame, seed: int) -> tuple[str, bool]:
        sums = sums[sums["n"] > 0]
        hits, n = int(sums[self.metric].sum()), int(sums["n"].sum())
        text = f"{hits} of {n} {_words(self.metric)} in {len(sums)} sessions ({hits / n:.1%}; 95 % interval"
        low, high = resampled(sums[self.metric].to_numpy(float), sums["n"].to_numpy(float), seed=seed)
        text += f" by session {low:.1%} to {high:.1%}," if 0 < hits < n and len(sums) > 1 else ""
        low, high = clopper_pearson(hits, n)
        text += f" {low:.1%} to {high:.1%} if flows were independent)"
        text += f"; 0 of {n} is a bound of {3 / n:.2%} at best, not a proof" if hits == 0 else ""
        return text, self.at_least <= hits / n <= self.at_most


def _words(metric: str) -> str:
    limit = metric.partition("@")[2]
    return f"found at a threshold for lab FPR {limit}" if limit else metric


def load(path: Path = PATH, group: str | None = None) -> tuple[Claim, ...]:
    """The claims of a file, or those of one `group`.

    Raises:
        InputError: the file isn't there, is no TOML, or a claim breaks the format; it names file and claim.
    """
    return tuple(claim for claim in _read(path) if group in {None, claim.group})


@cache
def _read(path: Path) -> tuple[Claim, ...]:
    try:
        data = path.read_bytes()
        document = tomllib.loads(data.decode()) if len(data) <= MAX_FILE_BYTES else {}
    except OSError as error:
        raise InputError(path, f"a readable file of claims ({error.strerror})") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(path, f"a TOML file of claims ({error})") from None
    tables = document.get("claim")
    if set(document) != {"claim"} or not isinstance(tables, list) or not 0 < len(tables) <= MAX_CLAIMS:
        raise InputError(
            path, f"1 to {MAX_CLAIMS} tables [[claim]] in at most {MAX_FILE_BYTES} bytes and no more"
        )
    claims = tuple(_claim(table, path, number) for number, table in enumerate(tables, 1))
    ids = [claim.id for claim in claims]
    if repeated := {one for one in ids if ids.count(one) > 1}:
        raise InputError(path, f"claim ids that are unique, not {repeated.pop()} twice")
    return claims


def _claim(table: object, path: Path, number: int) -> Claim:
    facts = table if isinstance(table, dict) else {}
    source = f"{path}: claim {printable(str(facts.get('id', f'number {number}')), 60)}"
    known = {f.name for f in fields(Claim)}
    if strange := set(facts) - known:
        raise InputError(
            source, f"no key {printable(strange.pop(), 60)!r}; there are {', '.join(sorted(known))}"
        )
    for name, (expected, fits) in FORMAT.items():
        if name not in facts and name in OPTIONAL:
            continue
        if name not in facts or not fits(facts[name]):
            raise InputError(source, f"{name} to be {expected}")
    if facts["at_least"] > facts["at_most"]:
        raise InputError(source, "at_least to be no more than at_most")
    if facts.get("metric", "flagged") in RATES and not 0 <= facts["at_least"] <= facts["at_most"] <= 1:
        raise InputError(source, "limits of a rate within 0 and 1")
    where = {key: tuple(v) if isinstance(v, list) else v for key, v in facts.get("where", {}).items()}
    return Claim(**facts | {"where": where})


def _text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_TEXT_CHARS and value.isprintable()


def _matching(pattern: str) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _whole(low: int, high: int) -> Callable[[object], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _cells(value: object) -> bool:
    return isinstance(value, dict) and all(key in CELL[1:] and _wanted(one) for key, one in value.items())


def _wanted(value: object) -> bool:
    values = value if isinstance(value, list) else [value]
    return 0 < len(values) <= MAX_VALUES and all(
        isinstance(v, str) and len(v) <= MAX_TEXT_CHARS for v in values
    )


OPTIONAL = ("metric", "where", "minimum_n", "applicable", "revised")
FORMAT: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "id": ("letters a-z, digits and -, 40 at most", _matching(r"[a-z0-9][a-z0-9-]{0,39}")),
    "group": (f"one of {', '.join(GROUPS)}", GROUPS.__contains__),
    "question": ("1, 2 or 3", _whole(1, 3)),
    "adversary": ("a line that begins with A0 .. A6", _matching(r"A[0-6]\b[ -~]{0,200}")),
    "hypothesis": (f"a line of at most {MAX_TEXT_CHARS} characters", _text),
    "detector": ("a detector's name", _matching(r"[a-z][a-z0-9_]{0,59}")),
    "at_least": ("a number", _number),
    "at_most": ("a number", _number),
    "caveat": (f"a line of at most {MAX_TEXT_CHARS} characters", _text),
    "metric": (f"one of {', '.join(METRICS)}", METRICS.__contains__),
    "where": (f"a table of {', '.join(CELL[1:])}, each a text or a list of texts", _cells),
    "minimum_n": (f"a whole number from 1 to {MAX_N}", _whole(1, MAX_N)),
    "applicable": ("true or false", lambda value: isinstance(value, bool)),
    "revised": (f"a line of at most {MAX_TEXT_CHARS} characters", _text),
}  # fmt: skip


def findings(
    counted: pd.DataFrame, *, seed: int = 0, claims: tuple[Claim, ...] | None = None
) -> tuple[Finding, ...]:
    """`claims` (E1's when None) checked against the table of `matrix.tally`; those that failed first.

    Claims whose metric is `value` are left to their own module. Captures of two kinds (wire, packetised) are never
    pooled: each claim is then checked for both.
    """
    kinds = sorted(counted["capture"].unique()) or [""]
    rates = [claim for claim in (load(group="E1") if claims is None else claims) if claim.metric != "value"]
    found = [
        claim.check(
            counted[counted["capture"] == kind], seed=seed, kind=f"[{kind}]" if len(kinds) > 1 else ""
        )
        for kind in kinds
        for claim in rates
    ]
    return failures_first(found)


def failures_first(found: list[Finding]) -> tuple[Finding, ...]:
    """Findings in the order of the report: not as predicted, not measured, as predicted."""
    return tuple(sorted(found, key=lambda f: {False: 0, None: 1, True: 2}[f.holds]))
