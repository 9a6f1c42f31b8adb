"""The companion document: nothing but a rendering of results, whatever characters they hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from btresearch.errors import InputError
from btresearch.evidence import companion
from btresearch.evidence.evidence import Evidence, Finding
from btresearch.evidence.paper import build

NASTY = "a *b* |c| `d` e_ f__ \\ <g> -- $x"


def finding(holds: bool | None, name: str) -> Finding:
    return Finding(name, 1, "A1", NASTY, 4, "2 of 4", holds, NASTY)


@pytest.fixture
def results() -> dict[str, Any]:
    evidence = Evidence(
        "E1", NASTY, pd.DataFrame({"n": [1]}),
        (finding(True, "held"), finding(False, "failed"), finding(None, "open")),
        {"one": "00" * 32}, {"tool": "1_"}, 7, (NASTY,), paragraph=NASTY, limits=NASTY,
        summary=pd.DataFrame({"detector": ["-", "spid_"], "clear (n=1)": [1, "0 (0)"]}),
    )  # fmt: skip
    return json.loads(companion.dump(companion.results([evidence], profile="quick")))


def test_any_text_builds_without_a_warning(results: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "evidence.rst").write_text(companion.render(results))
    (page,) = build(tmp_path, tmp_path / "out")
    text = page.read_text()
    assert "a *b* |c| `d` e_ f__ \\ &lt;g&gt;" in text
    assert text.index("failed") < text.index("Results")


def test_the_failed_predictions_come_first_and_are_counted(results: dict[str, Any]) -> None:
    text = companion.render(results)
    head = text[: text.index("Results\n=======")]
    assert "Of 3 predictions 1 came out otherwise, 1 as predicted, 1 could not be measured." in head
    assert "NOT as predicted: failed" in head
    assert "as predicted: held" not in head.replace("NOT as predicted", "")


def test_a_changed_number_is_refused(results: dict[str, Any], tmp_path: Path) -> None:
    document = tmp_path / "evidence.rst"
    document.write_text(companion.render(results))
    companion.check(results, document)
    document.write_text(document.read_text().replace("2 of 4", "3 of 4"))
    with pytest.raises(InputError, match="paper evidence"):
        companion.check(results, document)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"claims": 1}', "\xff"])
def test_what_is_no_results_is_one_line(tmp_path: Path, content: str) -> None:
    path = tmp_path / "evidence.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError, match="results that"):
        companion.read(path)


def test_results_without_a_field_are_one_line(results: dict[str, Any]) -> None:
    del results["claims"][0]["findings"][0]["holds"]
    with pytest.raises(InputError, match="a field that the document needs"):
        companion.render(results)


def test_a_template_with_an_unknown_field_is_refused(results: dict[str, Any], tmp_path: Path) -> None:
    template = tmp_path / "t"
    template.write_text("$nothing")
    with pytest.raises(InputError, match="nothing"):
        companion.render(results, template)


def test_the_committed_document_is_what_its_results_say() -> None:
    companion.check(companion.read())
