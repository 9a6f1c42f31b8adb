"""SPID (Hjelmvik and John, 2010): attribute meters, models, and nearest-model classification."""

from __future__ import annotations

from btresearch.detect.spid.attribution import ablation, contribution
from btresearch.detect.spid.detector import DETECTOR, VARIANTS, Spid
from btresearch.detect.spid.meters import ALL, DEFAULT, SETS, THRESHOLDS_BITS
from btresearch.detect.spid.model import Models
from btresearch.detect.spid.thresholds import SWEEP_BITS, sweep

__all__ = [
    "ALL",
    "DEFAULT",
    "DETECTOR",
    "SETS",
    "SWEEP_BITS",
    "THRESHOLDS_BITS",
    "VARIANTS",
    "Models",
    "Spid",
    "ablation",
    "contribution",
    "sweep",
]
