"""The paper builds without a warning, and a warning is a failure."""

from __future__ import annotations

from pathlib import Path

import pytest

from btresearch.errors import InputError
from btresearch.evidence.paper import build

ROOT = Path(__file__).parent.parent.parent


def test_every_document_of_the_paper_builds(tmp_path: Path) -> None:
    pages = build(ROOT / "paper", tmp_path)
    assert pages
    assert all("<h2" in page.read_text() for page in pages)


def test_a_warning_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.rst").write_text("Title\n==\n\ntext `unclosed\n")
    with pytest.raises(InputError, match="without warnings"):
        build(tmp_path, tmp_path / "out")


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"at least one \.rst"):
        build(tmp_path, tmp_path / "out")
