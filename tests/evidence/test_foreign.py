"""Captures made by others: counted per class; half-open flows are not asked, odd folders are no classes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from btresearch.errors import InputError
from btresearch.evidence import foreign

CAPTURES = Path(__file__).parent.parent.parent / "captures"
RULES = ["fet", "wireshark", "spid"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, scenario in (
        ("bt-plain", "lt_clear-000"),
        ("tls-web", "cover_upload-000"),
        ("mixed", "lt_clear-001"),
    ):
        (tmp_path / name).mkdir()
        shutil.copy(CAPTURES / scenario / "capture.pcapng", tmp_path / name / "one.pcapng")
    return tmp_path


def test_counts_per_class(folder: Path) -> None:
    table = foreign.count(folder, RULES)
    assert set(table["class"]) == {"bt-plain", "tls-web"}
    assert set(table["detector"]) == {"fet", "wireshark"}  # a trained one never meets them
    named = table.set_index(["class", "detector"])["named"]
    assert named["bt-plain", "wireshark"] == 3
    assert named["tls-web", "wireshark"] == 0
    assert foreign.false_positives(table).empty
    wide = foreign.by_class(table).set_index("detector")
    assert wide.loc["wireshark", "bt-plain (3 of 3)"] == "3"


def test_a_false_positive_is_listed_by_capture(folder: Path) -> None:
    (folder / "bt-plain").rename(folder / "other-plain")
    listed = foreign.false_positives(foreign.count(folder, RULES))
    assert listed[["file", "detector", "named"]].to_numpy().tolist() == [["one.pcapng", "wireshark", 3]]


def test_a_folder_without_classes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a folder of captures per class"):
        foreign.count(tmp_path)
