"""What every claim is made from: kept between runs, and made anew when captures or detectors change."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from btresearch.evidence import gather, material
from btresearch.evidence.claims import load

CAPTURES = Path(__file__).parent.parent.parent / "captures"
QUICK = ["fet", "tstat_mse"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("lt_mse_rc4-000", "cover_upload-000"):
        shutil.copytree(CAPTURES / name, tmp_path / "captures" / name)
    return tmp_path / "captures"


def test_verdicts_are_kept_and_the_same(folder: Path, tmp_path: Path) -> None:
    said: list[str] = []
    first = gather(folder, cache=tmp_path / "kept", detectors=QUICK)
    again = gather(folder, cache=tmp_path / "kept", detectors=QUICK, progress=said.append)
    assert "verdicts: kept ones" in said
    pd.testing.assert_frame_equal(first.judged, again.judged)
    assert first.versions == again.versions


@pytest.mark.parametrize("change", ["code", "captures", "detectors"])
def test_kept_verdicts_are_not_taken_for_others(
    folder: Path, tmp_path: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gather(folder, cache=tmp_path / "kept", detectors=QUICK)
    if change == "code":
        monkeypatch.setattr(material, "_code", lambda: "another")
    elif change == "captures":
        shutil.rmtree(folder / "cover_upload-000")
    said: list[str] = []
    names = QUICK[:1] if change == "detectors" else QUICK
    made = gather(folder, cache=tmp_path / "kept", detectors=names, progress=said.append)
    assert "verdicts: kept ones" not in said
    assert set(made.judged["row"]) == set(made.flows.index)


def test_a_value_that_nobody_computed_is_not_measured(folder: Path) -> None:
    found = gather(folder, detectors=QUICK)
    findings = found.check("E4", found.counted, {})
    assert {f.id for f in findings} == {claim.id for claim in load(group="E4")}
    known = next(f for f in findings if f.id == "fet-known-answer")
    assert known.holds is None
