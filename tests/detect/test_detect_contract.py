from __future__ import annotations

import pandas as pd
import pytest

from btresearch.detect.contract import VERDICTS, DetectorError, answers, check, other
from btresearch.detect.fet import DETECTOR
from tests.detect.wire import flow, table


def test_the_verdict_words_are_the_documented_ones():
    assert VERDICTS == ("bittorrent", "flagged", "other", "abstain")


@pytest.mark.parametrize(
    ("change", "breach"),
    [
        (lambda t: t.rename(columns={"why": "reason"}), "columns"),
        (lambda t: t.reset_index(drop=True), "index"),
        (lambda t: t.assign(score=1.01), "score"),
        (lambda t: t.assign(score=float("nan")), "score"),
        (lambda t: t.assign(verdict="maybe"), "maybe"),
        (lambda t: t.assign(why=""), "reason"),
        (lambda t: t.assign(why="two\nlines"), "reason"),
    ],
)
def test_an_answer_that_breaks_the_contract_is_refused_by_name(change, breach):
    flows = table([flow(), flow()])
    good = answers(flows.index, [other("looked")] * 2)
    assert check(DETECTOR, flows, good) is good
    with pytest.raises(DetectorError, match=f"detector fet: .*{breach}"):
        check(DETECTOR, flows, change(good))


def test_no_flows_make_an_empty_table_of_the_right_types():
    empty = answers(pd.Index([]), [])
    assert list(empty.columns) == ["score", "verdict", "why"]
    assert empty["score"].dtype == "float64"
