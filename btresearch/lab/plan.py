"""What a run will capture, in which order: decided by the seed alone."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, replace

from btresearch.errors import InputError
from btresearch.lab import cast
from btresearch.lab.scenario import Scenario, find, ready_made

SETS = {"quick": 1, "full": 10}
"""Names that stand for every scenario of the package, and how many times its own `repeats` each is captured."""


@dataclass(frozen=True, order=True)
class Job:
    """One capture to make."""

    scenario: Scenario
    repeat: int


@dataclass(frozen=True)
class Plan:
    """Jobs in the order in which they start, and why scenarios were left out (name -> one line)."""

    jobs: tuple[Job, ...]
    skipped: dict[str, str]

    @property
    def flows(self) -> int:
        """How many flows the jobs make at least."""
        return sum(traffic.flows for job in self.jobs for traffic in job.scenario.traffic)


def resolve(names: Iterable[str]) -> list[Scenario]:
    """Turn names, paths and set names (see `SETS`) into scenarios, each once.

    Raises InputError for a name that is none of these.
    """
    found: dict[str, Scenario] = {}
    for name in names:
        members = list(ready_made().values()) if name in SETS else [find(name)]
        found.update({scenario.name: scenario for scenario in members})
    return list(found.values())


def why_not(scenario: Scenario) -> str:
    """One line that says what the machine lacks for a scenario; empty when nothing."""
    return "; ".join(dict.fromkeys(filter(None, (cast.missing(traffic) for traffic in scenario.traffic))))


def draw_up(scenarios: Iterable[Scenario], *, seed: int = 0, repeats: int | None = None) -> Plan:
    """Plan `repeats` captures of each scenario (default: as many as it says), shuffled by the seed.

    Shuffled, since the machine's load drifts during a run and must not go with a class.
    """
    wanted = sorted(scenarios, key=lambda scenario: scenario.name)
    skipped = {scenario.name: reason for scenario in wanted if (reason := why_not(scenario))}
    jobs = [
        Job(scenario, repeat)
        for scenario in wanted
        if scenario.name not in skipped
        for repeat in range(repeats or scenario.repeats)
    ]
    random.Random(seed).shuffle(jobs)
    return Plan(tuple(jobs), skipped)


def plan_set(name: str, *, seed: int = 0) -> Plan:
    """Plan a set. Raises InputError for an unknown one."""
    if name not in SETS:
        raise InputError(name, f"one of the sets {', '.join(SETS)}")
    scenarios = [replace(scenario, repeats=scenario.repeats * SETS[name]) for scenario in resolve([name])]
    return draw_up(scenarios, seed=seed)


def plan_quick(*, seed: int = 0) -> Plan:
    """Plan the set `quick`: what the first evidence needs."""
    return plan_set("quick", seed=seed)
