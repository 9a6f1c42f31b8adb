"""The schema: its check, Parquet, and the page generated from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from btresearch import flow
from btresearch.errors import InputError
from btresearch.flow import schema
from tests.conftest import ROOT
from tests.flow.wire import C2S, S2C, connection, ethernet, write


@pytest.fixture
def flows(tmp_path: Path) -> pd.DataFrame:
    return flow.read(write(tmp_path / "a.pcap", ethernet(connection([(C2S, b"hello"), (S2C, b"world")]))))


def test_every_column_says_what_it_is() -> None:
    assert len(flow.SCHEMA.names) == len(set(flow.SCHEMA.names))
    for field in flow.SCHEMA:
        assert field.metadata[b"meaning"] and field.metadata[b"group"].decode() in flow.GROUPS
        assert not field.nullable
    assert {"src", "sport", "dst", "dport", "capture", "flow_id"} <= set(flow.KEY)


def test_a_table_that_was_read_passes_its_check(flows: pd.DataFrame) -> None:
    assert flow.check(flows) is flows
    assert list(flows.columns) == flow.SCHEMA.names
    assert flow.check(flow.empty()).empty


def test_check_names_a_missing_column(flows: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="expected the columns pkt_dir, ja4"):
        flow.check(flows.drop(columns=["pkt_dir", "ja4"]))


def test_check_names_a_column_of_another_type(flows: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="sport to be uint16"):
        flow.check(flows.assign(sport=[-1]))
    with pytest.raises(InputError, match="t_first_ns to be int64"):
        flow.check(flows.assign(t_first_ns=["noon"]))


def test_check_names_a_column_with_nulls(flows: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="ja3 without nulls"):
        flow.check(flows.assign(ja3=[None]))


def test_check_names_lists_out_of_step(flows: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="pkt_len to hold as many items as pkt_dir"):
        flow.check(flows.assign(pkt_len=[np.array([1, 2], dtype=np.int32)]))


def test_parquet_round_trip(flows: pd.DataFrame, tmp_path: Path) -> None:
    flow.to_parquet(flows, tmp_path / "f.parquet")
    back = flow.from_parquet(tmp_path / "f.parquet")
    assert back.attrs == flows.attrs
    assert schema.to_arrow(back).equals(schema.to_arrow(flows))


def test_parquet_of_something_else_is_a_clear_error(tmp_path: Path) -> None:
    pd.DataFrame({"src": ["a"]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(InputError, match="a flow table with the columns capture"):
        flow.from_parquet(tmp_path / "other.parquet")
    (tmp_path / "text.parquet").write_text("no")
    with pytest.raises(InputError, match="a Parquet flow table"):
        flow.from_parquet(tmp_path / "text.parquet")


def test_the_schema_page_is_the_code(tmp_path: Path) -> None:
    schema.write_page(tmp_path / "schema.md")
    assert (ROOT / "docs" / "schema.md").read_text() == (tmp_path / "schema.md").read_text()
