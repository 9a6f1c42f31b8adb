"""`btresearch detect`: captures and flow tables in, verdicts out, one line on errors."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from btresearch import flow
from btresearch.cli import app
from btresearch.detect import DetectorError
from btresearch.detect.contract import TABLE
from tests.detect.wire import clear_conversation, frames, mse_conversation, pcap


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    path = tmp_path / "two.pcap"
    path.write_bytes(pcap([frames(clear_conversation()), frames(mse_conversation(1), ports=(40001, 46881))]))
    return path


def invoke(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["detect", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_json_is_one_verdict_a_line(capture):
    lines = [json.loads(line) for line in invoke(capture, "--detector", "fet", "--json").splitlines()]
    assert [line["verdict"] for line in lines] == ["other", "flagged"]
    assert set(lines[0]) == set(TABLE)


def test_verdicts_go_to_parquet_from_a_capture_and_a_flow_table_alike(capture, tmp_path):
    table, first, second = (tmp_path / name for name in ("flows.parquet", "a.parquet", "b.parquet"))
    flow.to_parquet(flow.read(capture), table)
    chosen = ("--detector", "fet", "--detector", "tstat_mse", "-o")
    assert invoke(capture, *chosen, first) == ""
    invoke(table, *chosen, second)
    written = pd.read_parquet(first)
    assert list(written.columns) == list(TABLE) and len(written) == 4
    pd.testing.assert_frame_equal(written, pd.read_parquet(second))


def test_few_verdicts_are_shown_with_their_reason_and_many_are_summed_up(capture):
    assert "no exemption holds" in " ".join(invoke(capture, "--detector", "fet").split())
    copies = [capture.with_name(f"copy{i}.pcap") for i in range(21)]
    for copy in copies:
        copy.write_bytes(capture.read_bytes())
    summed = invoke(*copies, "--detector", "fet")
    assert "no exemption" not in summed and "21" in summed


def test_an_unknown_detector_is_one_line(capture):
    with pytest.raises(DetectorError, match="no detector 'nosuch'"):
        invoke(capture, "--detector", "nosuch")
