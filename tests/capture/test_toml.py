"""Our TOML read by the standard library's reader."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.capture import toml

keys = st.text(st.characters(codec="utf-8"), max_size=8)
plain = (
    st.text(st.characters(codec="utf-8"), max_size=30)
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.booleans()
)
values = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=12
)


@settings(deadline=None, max_examples=100)
@given(st.dictionaries(keys, values, max_size=5))
def test_tomllib_reads_back_what_is_written(table: dict[str, toml.Value]) -> None:
    assert tomllib.loads(toml.dumps(table)) == table


def test_plain_values_come_before_sections() -> None:
    assert toml.dumps({"a": {"b": 1, "c d": {"e": True}}, "z": 'q"'}) == (
        'z = "q\\""\n\n[a]\nb = 1\n\n[a."c d"]\ne = true\n'
    )


def test_a_value_without_a_form() -> None:
    with pytest.raises(TypeError, match="bytes"):
        toml.dumps({"a": b"raw"})  # type: ignore[dict-item]
