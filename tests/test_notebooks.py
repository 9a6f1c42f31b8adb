"""Every notebook runs top to bottom from `captures/` alone, quickly, and defines nothing reusable."""

from __future__ import annotations

import ast
import json
import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
BUDGET_S = 60


def test_there_are_notebooks() -> None:
    claims = {
        "01_detectability",
        "02_spid",
        "03_gateways",
        "04_first_packets",
        "05_fingerprints",
        "06_infohash",
    }
    assert {"00_tour", *claims} <= {p.stem for p in NOTEBOOKS}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:Proactor", "ignore::ResourceWarning")
def test_notebook_runs_from_the_captures_alone(path: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "captures", tmp_path / "captures")
    (tmp_path / "notebooks").mkdir()
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook, timeout=BUDGET_S, resources={"metadata": {"path": tmp_path / "notebooks"}}
    ).execute()
    ran = [c for c in notebook.cells if c.cell_type == "code"]
    assert ran
    assert all(c.execution_count for c in ran)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook_defines_nothing_and_keeps_no_output(path: Path) -> None:
    cells = [c for c in json.loads(path.read_text())["cells"] if c["cell_type"] == "code"]
    for cell in cells:
        tree = ast.parse("".join(cell["source"]))
        assert not [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.ClassDef | ast.Lambda)]
        assert cell["outputs"] == []
