"""The lab: scenarios in, labelled captures out.

scenario = lab.find("lt_mse_rc4")
lab.capture(scenario, Path("out/captures"), seed=1)          # one capture
lab.run(lab.plan_quick(seed=1), Path("out/captures"), jobs=2)  # all that the first evidence needs

A capture comes from real programs in network namespaces (`kind = "wire"`), or, where those can't be made, from the
socket reads and writes of the same programs (`kind = "packetised"`). `lab.probe()` says which, and why.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from btresearch.lab.errors import Interrupted, LabError
    from btresearch.lab.netns import Ability, NetnsError, probe
    from btresearch.lab.plan import Job, Plan, draw_up, plan_quick, plan_set, resolve
    from btresearch.lab.record import capture, choose_kind
    from btresearch.lab.runner import Outcome, Report, capture_set, describe, run
    from btresearch.lab.scenario import Network, Scenario, Traffic, dumps, find, load, loads, ready_made

_HOME = {
    "errors": ("Interrupted", "LabError"),
    "netns": ("Ability", "NetnsError", "probe"),
    "plan": ("Job", "Plan", "draw_up", "plan_quick", "plan_set", "resolve"),
    "record": ("capture", "choose_kind"),
    "runner": ("Outcome", "Report", "capture_set", "describe", "run"),
    "scenario": ("Network", "Scenario", "Traffic", "dumps", "find", "load", "loads", "ready_made"),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}


def __getattr__(name: str) -> Any:
    # Every actor is a process that imports this package; it must not wait for pandas and pyarrow.
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


__all__ = [
    "Ability",
    "Interrupted",
    "Job",
    "LabError",
    "Network",
    "NetnsError",
    "Outcome",
    "Plan",
    "Report",
    "Scenario",
    "Traffic",
    "capture",
    "capture_set",
    "choose_kind",
    "describe",
    "draw_up",
    "dumps",
    "find",
    "load",
    "loads",
    "plan_quick",
    "plan_set",
    "probe",
    "ready_made",
    "resolve",
    "run",
]
