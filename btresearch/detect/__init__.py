"""Detectors: flows in, verdicts out, one file each.

`run(flows)` gives the verdict table of every detector; `detectors()` lists them by name; `explain(flows, flow_id)`
tells of one flow what each detector saw. A new
detector is one new module here with a `DETECTOR`, and its test; `contract` says what it must be.
"""

from __future__ import annotations

from btresearch.detect.contract import (
    VERDICTS,
    Detector,
    DetectorError,
    Trainable,
    Verdict,
)
from btresearch.detect.explain import Explanation, explain
from btresearch.detect.registry import detectors, load, run, select, summary

__all__ = [
    "VERDICTS",
    "Detector",
    "DetectorError",
    "Explanation",
    "Trainable",
    "Verdict",
    "detectors",
    "explain",
    "load",
    "run",
    "select",
    "summary",
]
