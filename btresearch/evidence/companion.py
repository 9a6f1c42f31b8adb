"""The Informational companion to the proposal, rendered from results: paper/evidence.json -> paper/evidence.rst.

The document is a template whose fields are computed, so that no number in it can differ from the results.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

from btresearch.errors import InputError
from btresearch.evidence.claims import failures_first
from btresearch.evidence.evidence import Evidence, Finding

PAPER = Path(__file__).parents[2] / "paper"
RESULTS = PAPER / "evidence.json"
TEMPLATE = PAPER / "evidence.rst.in"
DOCUMENT = PAPER / "evidence.rst"
MAX_RESULT_BYTES = 8 << 20

Results = Mapping[str, Any]


def results(found: Sequence[Evidence], *, profile: str) -> dict[str, Any]:
    """What the document needs of the claims, as JSON values."""
    first = found[0]
    inputs = json.dumps(dict(sorted(first.inputs.items())))
    versions: dict[str, str] = {}
    for one in found:
        versions |= dict(one.versions)
    return {
        "profile": profile,
        "seed": first.seed,
        "captures": len(first.inputs),
        "inputs_sha256": hashlib.sha256(inputs.encode()).hexdigest(),
        "versions": dict(sorted(versions.items())),
        "claims": [_claim(one) for one in found],
    }


def _claim(one: Evidence) -> dict[str, Any]:
    return {
        "claim": one.claim,
        "title": one.title,
        "paragraph": one.paragraph,
        "limits": one.limits,
        "notes": list(one.notes),
        "findings": [vars(finding) for finding in one.findings],
        "columns": [str(name) for name in one.summary.columns],
        "rows": one.summary.astype(str).to_numpy().tolist(),
    }


def dump(made: Results) -> str:
    """The results as the text of evidence.json."""
    return json.dumps(made, indent=1, sort_keys=True) + "\n"


def read(path: Path = RESULTS) -> Results:
    """Results that an earlier run wrote.

    Raises:
        InputError: no such file, or it holds something else.
    """
    try:
        data = path.read_bytes()
        made = json.loads(data) if len(data) <= MAX_RESULT_BYTES else None
    except (OSError, ValueError) as error:
        raise InputError(path, f"results that `btresearch evidence` wrote ({error})") from None
    if not isinstance(made, dict) or not isinstance(made.get("claims"), list):
        raise InputError(path, "results that `btresearch evidence` wrote")
    return made


def render(made: Results, template: Path = TEMPLATE) -> str:
    """The document in reStructuredText.

    Raises:
        InputError: the results lack a field, or the template names one that isn't computed.
    """
    try:
        fields = _fields(made)
    except (KeyError, TypeError) as error:
        raise InputError(RESULTS, f"a field that the document needs ({error})") from None
    try:
        return Template(template.read_text(encoding="utf-8")).substitute(fields)
    except (KeyError, ValueError) as error:
        raise InputError(template, f"fields among {', '.join(fields)} ({error})") from None


def check(made: Results, document: Path = DOCUMENT) -> None:
    """Raises InputError when the document is not what the results render to."""
    if not document.is_file() or document.read_text(encoding="utf-8") != render(made):
        raise InputError(document, "the rendering of its results: run `btresearch paper evidence`")


def _fields(made: Results) -> dict[str, str]:
    every = [Finding(**finding) for one in made["claims"] for finding in one["findings"]]
    held = [finding.holds for finding in every]
    versions = "; ".join(f"{name} {version}" for name, version in made["versions"].items())
    return {
        "profile": plain(made["profile"]),
        "seed": str(made["seed"]),
        "captures": str(made["captures"]),
        "inputs": made["inputs_sha256"],
        "versions": plain(versions),
        "predictions": str(len(held)),
        "failed": str(held.count(False)),
        "held": str(held.count(True)),
        "unmeasured": str(held.count(None)),
        "failures": _findings([f for f in failures_first(every) if not f.holds]),
        "claims": "\n".join(_section(one) for one in made["claims"]),
    }


def _section(one: Mapping[str, Any]) -> str:
    title = plain(f"{one['claim']}: {one['title']}")
    findings = [Finding(**finding) for finding in one["findings"]]
    notes = "\n".join(f"- {plain(note)}" for note in one["notes"])
    return "\n".join(
        [
            title, "-" * len(title), "", plain(one["paragraph"]), "", _table(one["columns"], one["rows"]),
            f"*Limits.* {plain(one['limits'])}", "", notes, "", _findings(findings),
        ]
    )  # fmt: skip


def _findings(findings: Sequence[Finding]) -> str:
    rows = [[f"{f.verdict}: {f.id}", f.claim, f"{f.result}. {f.caveat}"] for f in findings]
    return _table(["finding", "predicted", "found, and its limits"], rows) if rows else "None.\n"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A list-table; docutils needs no column widths for it."""
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in [columns, *rows]:
        lines += [f"   {'* -' if at == 0 else '  -'} {plain(cell)}".rstrip() for at, cell in enumerate(row)]
    return "\n".join([*lines, ""])


def plain(text: str) -> str:
    """Text in which reStructuredText sees no markup."""
    return re.sub(r"([\\*`|]|_(?![A-Za-z0-9])|^-$)", r"\\\1", " ".join(str(text).split()))
