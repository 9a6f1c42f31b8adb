"""The labels table: what is kept, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from btresearch.capture import FlowLabel, labels_frame, normal_ip, read_labels, write_labels
from btresearch.capture.labels import COLUMNS
from btresearch.errors import InputError

ROW = FlowLabel(
    proto="tcp", src="10.0.0.1", sport=4000, dst="::ffff:10.0.0.2", dport=6881, flow_class="bittorrent",
    transport="mse_rc4", sample_id=1, client="libtorrent", torrent="ab" * 20, seed=7,
)  # fmt: skip


def test_round_trip_keeps_every_column(tmp_path: Path) -> None:
    path = tmp_path / "labels.parquet"
    write_labels([ROW], path)
    found = read_labels(path)
    assert list(found.columns) == list(COLUMNS)
    row = found.iloc[0]
    assert (row["class"], row["transport"], row["dst"], row["seed"]) == (
        "bittorrent",
        "mse_rc4",
        "10.0.0.2",
        7,
    )
    assert str(found["sport"].dtype) == "int32"
    write_labels(found, path)
    pd.testing.assert_frame_equal(read_labels(path), found)


def test_no_flows_is_a_table_too(tmp_path: Path) -> None:
    write_labels([], tmp_path / "labels.parquet")
    assert len(read_labels(tmp_path / "labels.parquet")) == 0


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("proto", "sctp", "tcp or udp"),
        ("class", "malware", "bittorrent or cover"),
        ("transport", "", "a transport's name"),
        ("sport", 70_000, "a port from 0 to 65535"),
        ("src", "10.0.0.01", "an address in normal form"),
        ("dst", "::FFFF", "an address in normal form"),
        ("client", None, "documented types|a value"),
        ("seed", "seven", "documented types"),
    ],
)
def test_a_wrong_value_names_column_and_value(column: str, value: Any, expected: str) -> None:
    frame = labels_frame([ROW]).astype(object)
    frame[column] = [value]
    with pytest.raises(InputError, match=expected):
        write_labels(frame, "unwritten.parquet")


def test_missing_columns_and_recurring_flows_are_refused() -> None:
    frame = labels_frame([ROW])
    with pytest.raises(InputError, match="the columns profile, seed"):
        write_labels(frame.drop(columns=["seed", "profile"]), "unwritten.parquet")
    again = pd.concat([frame, frame.assign(sample_id=2)], ignore_index=True)
    with pytest.raises(InputError, match="a time of its own"):
        write_labels(again, "unwritten.parquet")
    with pytest.raises(InputError, match="an id of its own"):
        write_labels(pd.concat([frame, frame.assign(sport=1)], ignore_index=True), "unwritten.parquet")


def test_a_file_that_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "labels.parquet").write_bytes(b"not parquet")
    with pytest.raises(InputError, match="a Parquet table"):
        read_labels(tmp_path / "labels.parquet")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("fe80::1%eth0", "fe80::1"),
        ("FD00:0:0::1", "fd00::1"),
    ],
)
def test_normal_ip(text: str, expected: str) -> None:
    assert normal_ip(text) == expected
