"""The program of docs/tutorial-detector.md, run; and what the contract's checks say of its detector."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

from btresearch.detect.contract import WITHHELD, Detector
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "tutorial-detector.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def program() -> Iterator[dict[str, object]]:
    """The names that the page's blocks leave behind, run in order as one module."""
    module = sys.modules["tutorial"] = ModuleType("tutorial")
    for block in BLOCK.findall(PAGE):
        exec(compile(block, "docs/tutorial-detector.md", "exec", dont_inherit=True), vars(module))
    yield vars(module)
    del sys.modules["tutorial"]


def test_the_page_has_a_detector_its_test_and_the_reading_of_verdicts():
    assert len(BLOCK.findall(PAGE)) == 4


def test_its_program_runs_and_its_detector_keeps_the_contract(program):
    detector = program["DETECTOR"]
    assert isinstance(detector, Detector)
    assert not WITHHELD & set(detector.sees)
    assert detector.cites and detector.name == "krpc"
    assert "KRPC query" in str(program["explanation"])


def test_its_links_lead_somewhere():
    targets = re.findall(r"\]\(([\w.-]+\.md)\)", PAGE)
    assert targets and all((ROOT / "docs" / target).is_file() for target in targets)
