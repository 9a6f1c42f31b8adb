"""Flows + verdicts + labels -> tables, figures and sentences; one file per claim.

Labels meet verdicts here and nowhere else. `corpus.load` joins the flow table to the labels that the
capturing process wrote, `judge.verdicts` runs the detectors on the columns that they declare, and
`e1.evidence` turns both into the detector x transport matrix, its figure and the report.
`evaluate` is the whole protocol of docs/evaluation.md, from which the other claims are made.
"""

from btresearch.evidence import e1
from btresearch.evidence.corpus import Corpus, load
from btresearch.evidence.evaluate import evaluate
from btresearch.evidence.evaluation import Evaluation
from btresearch.evidence.evidence import Evidence
from btresearch.evidence.judge import verdicts

__all__ = ["Corpus", "Evaluation", "Evidence", "e1", "evaluate", "load", "verdicts"]
