"""pcapML's convention, written and read."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.capture import format_comment, parse_comment

names = st.text(st.characters(codec="utf-8", exclude_characters=",=\n\r"), min_size=1, max_size=20)


@settings(deadline=None, max_examples=50)
@given(
    st.integers(0, 2**64 - 1), names, st.dictionaries(st.from_regex(r"[a-c_]{1,5}", fullmatch=True), names)
)
def test_round_trip(sample_id: int, label: str, fields: dict[str, str]) -> None:
    found = parse_comment(format_comment(sample_id, label, **fields))
    assert found is not None
    assert (found.sample_id, found.label, found.fields) == (str(sample_id), label, fields)


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        ("9003219589747928972,google", ("9003219589747928972", "google")),  # the README of nprint/pcapml
        ("s=0,proc=curl,dir=lan2wan,dst=example.com", ("0", "curl")),  # its python/src/pcapml/reader.py
        ("5,cover\nsomeone's note", ("5", "cover")),
    ],
)
def test_samples_of_its_authors(comment: str, expected: tuple[str, str]) -> None:
    found = parse_comment(comment)
    assert found is not None
    assert found[:2] == expected


@pytest.mark.parametrize("comment", ["", "a note", "a,b", "7", "s=,proc=x"])
def test_other_comments_are_none(comment: str) -> None:
    assert parse_comment(comment) is None


def test_separators_in_values_are_replaced_and_empty_fields_left_out() -> None:
    assert format_comment(1, "a,b", client="x=1\ny", level="") == "1,a_b,client=x_1 y"
