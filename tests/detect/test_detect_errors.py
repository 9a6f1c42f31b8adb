"""Bad input to `btresearch detect` and `btresearch evidence` is one line and status 1, as a user meets it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from btresearch import cli, lab

CAPTURES = Path(__file__).parents[2] / "captures"
WHOLE = CAPTURES / "lt_clear-000" / "capture.pcapng"


def empty_folder(place: Path) -> Path:
    return place


def random_parquet(place: Path) -> Path:
    (place / "x.parquet").write_bytes(bytes(range(256)))
    return place / "x.parquet"


def cut_parquet(place: Path) -> Path:
    (place / "x.parquet").write_bytes((WHOLE.parent / "labels.parquet").read_bytes()[:-9])
    return place / "x.parquet"


def foreign_parquet(place: Path) -> Path:
    return Path(shutil.copy(WHOLE.parent / "labels.parquet", place))


def header_cut(place: Path) -> Path:
    (place / "x.pcapng").write_bytes(WHOLE.read_bytes()[:20])
    return place / "x.pcapng"


def no_bytes(place: Path) -> Path:
    (place / "x.pcapng").touch()
    return place / "x.pcapng"


def no_capture(place: Path) -> Path:
    (place / "x.pcapng").write_text("not a capture at all")
    return place / "x.pcapng"


BAD = (empty_folder, random_parquet, cut_parquet, foreign_parquet, header_cut, no_bytes, no_capture)


def run(command: str, *arguments: object) -> int:
    sys.argv = ["btresearch", command, *map(str, arguments)]
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


@pytest.fixture(autouse=True)
def restore_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", sys.argv)


@pytest.mark.parametrize("make", BAD, ids=lambda make: make.__name__)
def test_bad_input_to_detect_is_one_line(make: Callable[[Path], Path], tmp_path: Path, capsys) -> None:
    source = make(tmp_path)
    assert run("detect", source, "--detector", "fet") == 1
    *warnings, error = capsys.readouterr().err.strip().splitlines()
    assert error.startswith(f"btresearch: {source}: ")
    assert all(line.startswith("WARNING") for line in warnings)


def test_a_capture_that_breaks_off_is_judged_up_to_there_and_said(tmp_path: Path) -> None:
    (tmp_path / "x.pcapng").write_bytes(WHOLE.read_bytes()[:20_000])
    command = [sys.executable, "-m", "btresearch.cli", "detect", "x.pcapng", "--detector", "fet", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "x.pcapng: byte" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert [json.loads(line)["verdict"] for line in done.stdout.splitlines()] == ["other"]


@pytest.fixture
def captured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An output folder in which every capture was made already."""
    made = lab.Report("wire", (lab.Outcome("lt_clear-000", "kept"),), {})
    monkeypatch.setattr(lab, "capture_set", lambda *args, **kwargs: made, raising=False)
    shutil.copytree(WHOLE.parent, tmp_path / "captures" / "lt_clear-000")
    return tmp_path / "captures" / "lt_clear-000"


def drop(place: Path) -> None:
    manifest = place / "manifest.toml"
    manifest.write_text(manifest.read_text().replace("\ndropped = 0", "\ndropped = 7"))


def spoil_hash(place: Path) -> None:
    with (place / "capture.pcapng").open("ab") as file:
        file.write(bytes(4))


def spoil_manifest(place: Path) -> None:
    (place / "manifest.toml").write_text("[[[")


def lose_labels(place: Path) -> None:
    (place / "labels.parquet").unlink()


def spoil_labels(place: Path) -> None:
    (place / "labels.parquet").write_bytes(b"PAR1")


def lose_everything(place: Path) -> None:
    shutil.rmtree(place)


FAULTS = {
    drop: "lt_clear-000: 7 packets were dropped",
    spoil_hash: "expected SHA-256",
    spoil_manifest: "expected a TOML file",
    lose_labels: "labels.parquet",
    spoil_labels: "expected a Parquet table of labels",
    lose_everything: "expected captures",
}


@pytest.mark.parametrize(("fault", "reason"), FAULTS.items(), ids=lambda x: getattr(x, "__name__", ""))
def test_evidence_without_a_usable_capture_is_one_line(
    captured: Path, fault: Callable[[Path], None], reason: str, capsys
) -> None:
    fault(captured)
    out = captured.parents[1]
    assert run("evidence", "--out", out) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("btresearch: ")
    assert reason in error
    assert not (out / "E1.csv").exists()
