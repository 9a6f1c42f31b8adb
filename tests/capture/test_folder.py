"""A capture folder is whole and unchanged, or an error."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from btresearch.capture import Capture, FlowLabel, Manifest, Packet, sha256_of, write_labels, write_pcapng
from btresearch.errors import InputError

LABEL = FlowLabel(
    proto="tcp",
    src="10.0.0.1",
    sport=1,
    dst="10.0.0.2",
    dport=2,
    flow_class="cover",
    transport="tls",
    sample_id=1,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_pcapng(tmp_path / "capture.pcapng", [Packet(1, b"data", 4, 1)])
    write_labels([LABEL], tmp_path / "labels.parquet")
    digest = sha256_of(tmp_path / "capture.pcapng")
    Manifest(scenario="<tls>", kind="wire", sha256=digest, packets=1).write(tmp_path / "manifest.toml")
    return tmp_path


def test_open_and_read(folder: Path) -> None:
    capture = Capture.open(folder)
    assert [packet.data for packet in capture.packets()] == [b"data"]
    assert capture.labels()["transport"].tolist() == ["tls"]
    assert capture.usable
    assert "&lt;tls&gt;" in capture._repr_html_()


def test_a_changed_capture_is_refused(folder: Path) -> None:
    with (folder / "capture.pcapng").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(InputError, match="SHA-256"):
        Capture.open(folder)


@pytest.mark.parametrize("name", ["capture.pcapng", "manifest.toml"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(InputError, match=name):
        Capture.open(folder)


def test_drops_make_it_unusable_with_the_reason(folder: Path) -> None:
    capture = Capture.open(folder)
    lossy = replace(capture, manifest=replace(capture.manifest, dropped=3))
    assert not lossy.usable
    assert lossy.reasons == ("3 packets were dropped",)
    assert "no: 3 packets were dropped" in lossy._repr_html_()
