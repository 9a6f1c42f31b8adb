"""SPID (Hjelmvik and John, 2010): attribute meters, models, and nearest-model classification."""

from __future__ import annotations

from btresearch.detect.spid.detector import DETECTOR, Spid
from btresearch.detect.spid.meters import DEFAULT
from btresearch.detect.spid.model import Models

__all__ = ["DEFAULT", "DETECTOR", "Models", "Spid"]
