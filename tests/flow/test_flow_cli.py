"""`btresearch flows`."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from btresearch import flow
from btresearch.cli import app
from btresearch.flow import schema
from tests.flow.wire import C2S, connection, ethernet, write


def test_flows_writes_the_table_that_read_gives(tmp_path: Path) -> None:
    write(tmp_path / "a.pcap", ethernet(connection([(C2S, b"hello")])))
    write(tmp_path / "b.pcap", ethernet(connection([(C2S, b"again")])))
    out = tmp_path / "flows.parquet"
    result = CliRunner().invoke(app, ["flows", str(tmp_path), "-o", str(out)])
    assert result.exit_code == 0
    assert "2 flows of" in result.output
    assert schema.to_arrow(flow.from_parquet(out)).equals(schema.to_arrow(flow.read(tmp_path)))
    assert flow.from_parquet(out).attrs == flow.read(tmp_path).attrs
    assert [path.name for path in tmp_path.glob("flows*")] == ["flows.parquet"]


def test_a_damaged_capture_shows_in_the_exit_status(tmp_path: Path) -> None:
    path = write(tmp_path / "a.pcap", ethernet(connection([(C2S, b"hello")])))
    path.write_bytes(path.read_bytes()[:-3])
    result = CliRunner().invoke(app, ["flows", str(path), "-o", str(tmp_path / "flows.parquet")])
    assert result.exit_code == 1
    assert "damage: file_truncated 1" in result.output
    assert len(flow.from_parquet(tmp_path / "flows.parquet")) == 1
