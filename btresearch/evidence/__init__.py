"""Flows + verdicts + labels -> tables, figures and sentences; one file per claim.

Labels meet verdicts here and nowhere else. `corpus.load` joins the flow table to the labels that the
capturing process wrote, `judge.verdicts` runs the detectors on the columns that they declare, and
`evaluate` is the whole protocol of docs/evaluation.md. `gather` does all of that once; `e1` .. `e6` turn
its `Material` into a table, a figure and a paragraph each:

    from btresearch.evidence import e4, gather

    found = e4.evidence(gather(Path("captures")))
    found.table, found.paragraph, found.findings
"""

from btresearch.evidence import e1, e2, e3, e4, e5, e6
from btresearch.evidence.corpus import Corpus, load
from btresearch.evidence.evaluate import evaluate
from btresearch.evidence.evaluation import Evaluation
from btresearch.evidence.evidence import Evidence
from btresearch.evidence.judge import verdicts
from btresearch.evidence.material import Material, gather

__all__ = [
    "Corpus",
    "Evaluation",
    "Evidence",
    "Material",
    "e1",
    "e2",
    "e3",
    "e4",
    "e5",
    "e6",
    "evaluate",
    "gather",
    "load",
    "verdicts",
]
