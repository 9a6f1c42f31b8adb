"""Active probing of own hosts: what a stranger sees of a port, and what tells two ports apart.

`await run(address)` visits one host with the suite; `compare(ours, theirs)` sets two reports against each other.
"""

from __future__ import annotations

from btresearch.probe.cable import ProbeError
from btresearch.probe.hosts import own
from btresearch.probe.observation import Observation
from btresearch.probe.report import Comparison, Report, compare
from btresearch.probe.suite import QUICK, SUITE, run
from btresearch.probe.visit import Probe

__all__ = [
    "QUICK",
    "SUITE",
    "Comparison",
    "Observation",
    "Probe",
    "ProbeError",
    "Report",
    "compare",
    "own",
    "run",
]
