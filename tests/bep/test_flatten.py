"""The BEP as one file: nothing is included any more, and docutils still has no complaint."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from btresearch import bep
from btresearch.errors import InputError
from btresearch.evidence.paper import build

PAPER = Path(__file__).parents[2] / "paper"


def test_one_file_that_builds(tmp_path: Path) -> None:
    flat = bep.flatten(PAPER, tmp_path)
    text = flat.read_text()
    assert "include::" not in text
    first_line = (PAPER / "vectors" / "worked_example.txt").read_text().splitlines()[0]
    assert f"\n    {first_line}\n" in text
    assert build(tmp_path, tmp_path / "html")


def test_the_text_has_the_form_of_bep_2() -> None:
    text = (PAPER / bep.DOCUMENT).read_text()
    assert text.startswith(":BEP: XXX\n:Title: ")
    assert "\t" not in text
    assert text.isascii()
    for field in (
        "Version",
        "Last-Modified",
        "Author",
        "Status",
        "Type",
        "Content-Type",
        "Created",
        "Post-History",
    ):
        assert f"\n:{field}:" in text
    prose = [line for line in text.splitlines() if not line.startswith(("|", "+"))]
    assert max(map(len, prose)) <= 80
    assert not re.search(r"\n\n\n\n", text)


def test_every_reference_is_used() -> None:
    text = (PAPER / bep.DOCUMENT).read_text()
    defined = re.findall(r"^\.\. \[(#[\w-]+)\]", text, re.MULTILINE)
    assert defined
    assert [name for name in defined if f"[{name}]_" not in text] == []


def test_a_missing_include_is_named(tmp_path: Path) -> None:
    (tmp_path / bep.DOCUMENT).write_text(".. include:: vectors/none.txt\n   :literal:\n")
    with pytest.raises(InputError, match=r"none\.txt"):
        bep.flatten(tmp_path, tmp_path / "out")
