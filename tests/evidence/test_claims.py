"""The registered claims are read as written, and what breaks the format is refused by file and claim."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from btresearch.errors import InputError
from btresearch.evidence import claims
from btresearch.evidence.matrix import CELL

GOOD = """
[[claim]]
id = "x-1"
group = "E4"
question = 1
adversary = "A1 national first-packet filter"
hypothesis = "Something holds."
detector = "fet"
where = { transport = ["mse_rc4", "mse_plain"], class = "bittorrent" }
metric = "flagged"
at_least = 0.9
at_most = 1
minimum_n = 20
caveat = "Here only."
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / f"{len(list(tmp_path.iterdir()))}.toml"
    path.write_text(text)
    return path


def test_a_claim_is_read_as_written(tmp_path: Path) -> None:
    (claim,) = claims.load(written(tmp_path, GOOD))
    assert claim == claims.Claim(
        id="x-1", group="E4", question=1, adversary="A1 national first-packet filter", hypothesis="Something holds.",
        detector="fet", where={"transport": ("mse_rc4", "mse_plain"), "class": "bittorrent"}, metric="flagged",
        at_least=0.9, at_most=1, minimum_n=20, caveat="Here only.",
    )  # fmt: skip
    assert claims.load(written(tmp_path, GOOD), group="E1") == ()


def test_the_registered_claims_of_e1_are_the_21_of_the_first_evidence() -> None:
    ids = [claim.id for claim in claims.load(group="E1")]
    assert ids[:3] == ["fet-mse", "fet-btls", "fet-cover"]
    assert ids[-1] == "spid-adaptive-cover"
    assert len(ids) == 21
    revised = {claim.id for claim in claims.load(group="E1") if claim.revised}
    assert {"ndpi-mse", "ndpi-btls", "ndpi-btls-risk", "tail-none", "spid-adaptive"} <= revised


FAULTS = {
    'id = "x-1"': ('id = "X 1"', "claim X 1: expected id to be letters"),
    'group = "E4"': ('group = "E9"', "claim x-1: expected group to be one of E1, E2"),
    "question = 1": ("question = 4", "claim x-1: expected question to be 1, 2 or 3"),
    'adversary = "A1': ('adversary = "B1', "claim x-1: expected adversary"),
    'hypothesis = "Something holds."': ('hypothesis = "a\\nb"', "claim x-1: expected hypothesis"),
    'detector = "fet"': ("detector = 7", "claim x-1: expected detector"),
    "class =": ("colour =", "claim x-1: expected where to be a table of transport"),
    'class = "bittorrent"': ("class = []", "claim x-1: expected where"),
    'metric = "flagged"': ('metric = "luck"', "claim x-1: expected metric to be one of flagged"),
    "at_least = 0.9": ("at_least = 1.1", "claim x-1: expected at_least to be no more"),
    "at_most = 1": ("at_most = 2", "claim x-1: expected limits of a rate within 0 and 1"),
    "minimum_n = 20": ("minimum_n = 0", "claim x-1: expected minimum_n"),
    'caveat = "Here only."': ("", "claim x-1: expected caveat"),
    "\nid": ('\nsure = true\nid', "claim x-1: expected no key 'sure'"),
    "0.9": ("nan", "claim x-1: expected at_least to be a number"),
    "[[claim]]": ("[[claims]]", "1 to 500 tables"),
    'detector = "fet"\n': ("detector = ", "a TOML file of claims"),
}  # fmt: skip


@pytest.mark.parametrize("good", FAULTS)
def test_a_fault_is_named_with_file_and_claim(tmp_path: Path, good: str) -> None:
    bad, said = FAULTS[good]
    assert good in GOOD
    path = written(tmp_path, GOOD.replace(good, bad, 1))
    with pytest.raises(InputError) as caught:
        claims.load(path)
    assert str(caught.value).startswith(str(path))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value).partition("TOML")[0]


def test_an_id_stands_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unique, not x-1 twice"):
        claims.load(written(tmp_path, GOOD + GOOD))


def test_a_file_that_is_missing_or_huge(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="readable file of claims"):
        claims.load(tmp_path / "nothing.toml")
    with pytest.raises(InputError, match="1 to 500"):
        claims.load(written(tmp_path, "#" * (claims.MAX_FILE_BYTES + 1)))


def test_a_value_may_lie_outside_of_0_and_1(tmp_path: Path) -> None:
    text = GOOD.replace('"flagged"', '"value"').replace("at_most = 1", "at_most = 99.82")
    (claim,) = claims.load(written(tmp_path, text))
    assert claim.measured(99.7, 20, "99.7 %").holds is True
    assert claim.measured(99.9, 20, "99.9 %").holds is False
    assert claim.measured(99.7, 19, "99.7 %").holds is None
    assert "n too small" in claim.measured(99.7, 19, "99.7 %").result
    assert claim.measured(float("nan"), 20, "").result == claims.UNMEASURED


def counted(n: int, hits: int, **more: float) -> pd.DataFrame:
    row = dict.fromkeys(CELL, "") | {"detector": "fet", "transport": "mse_rc4", "class": "bittorrent"}
    return pd.DataFrame([row | {"session": "s", "n": n, "flagged": hits, "named": 0, "abstained": 0} | more])


@pytest.mark.parametrize(
    ("n", "hits", "holds"), [(20, 18, True), (20, 17, False), (19, 19, None), (19, 0, None)]
)
def test_limits_and_minimum_n(tmp_path: Path, n: int, hits: int, holds: bool | None) -> None:
    (claim,) = claims.load(written(tmp_path, GOOD))
    found = claim.check(counted(n, hits))
    assert (found.n, found.holds) == (n, holds)
    assert ("n too small: 19 flows, 20 are needed" in found.result) == (n == 19)


def test_a_rate_that_may_not_be_given_is_n_too_small(tmp_path: Path) -> None:
    (claim,) = claims.load(written(tmp_path, GOOD))
    claim = replace(claim, metric="tpr@1e-3")
    assert "n too small" in claim.check(counted(30, 30, **{"tpr@1e-3": np.nan})).result
    assert claim.check(counted(30, 30, **{"tpr@1e-3": 30.0})).holds is True
    assert claim.check(counted(30, 30)).result == claims.UNMEASURED  # this table has no such rate


def test_claims_about_values_are_left_to_their_module(tmp_path: Path) -> None:
    (claim,) = claims.load(written(tmp_path, GOOD))
    assert claims.findings(counted(30, 30), claims=(replace(claim, metric="value"),)) == ()
    assert [f.id for f in claims.findings(counted(30, 30), claims=(claim,))] == ["x-1"]
