"""Make the captures of a plan, several side by side; resumable, and safe against a second runner."""

from __future__ import annotations

import fcntl
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from btresearch.capture import Capture
from btresearch.errors import InputError
from btresearch.lab.errors import LabError
from btresearch.lab.plan import Job, Plan, plan_set
from btresearch.lab.record import PARTIAL, Take, capture, choose_kind, fingerprint

LOCK = ".lock"


@dataclass(frozen=True)
class Outcome:
    """How one job went: `made`, `kept` (it was there, complete) or `failed` (`error` says why)."""

    session: str
    result: str
    seconds: float = 0.0
    error: str = ""


@dataclass(frozen=True)
class Report:
    """How a run went."""

    kind: str
    outcomes: tuple[Outcome, ...]
    skipped: dict[str, str]

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """The jobs that failed."""
        return tuple(outcome for outcome in self.outcomes if outcome.result == "failed")


Progress = Callable[[int, int, Outcome], None]
"""Called after each job: jobs ended, jobs in all, the outcome."""


def run(
    plan: Plan,
    out: Path,
    *,
    seed: int = 0,
    jobs: int = 2,
    kind: str = "auto",
    progress: Progress = lambda ended, total, outcome: None,
) -> Report:
    """Make every capture of the plan below `out`, `jobs` at a time; captures that are there already are kept.

    A failed capture doesn't end the run: see `Report.failed`. Raises LabError when another runner works in `out`,
    or when kind `wire` is asked for and can't be had.
    """
    out = out.resolve()  # the actors run in a folder of their own
    out.mkdir(parents=True, exist_ok=True)
    resolved, _ = choose_kind(kind)
    stop = threading.Event()
    with _alone_in(out), ThreadPoolExecutor(jobs, thread_name_prefix="lab") as pool:
        futures = [pool.submit(_do, job, out, seed=seed, kind=resolved, stop=stop) for job in plan.jobs]
        try:
            outcomes = list(_watched(futures, progress))
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
    return Report(resolved, tuple(outcomes), plan.skipped)


def capture_set(
    name: str,
    out: Path,
    *,
    seed: int = 0,
    jobs: int = 2,
    netns: bool = True,
    progress: Callable[[str], None] = lambda line: None,
) -> Report:
    """Make a set (`quick`, `full`) below `out`, saying each step in a line.

    Without `netns` everything is packetised. Raises LabError when not one capture could be made.
    """
    plan = plan_set(name, seed=seed)
    kind, ability = choose_kind("auto" if netns else "packetised")
    progress(f"{len(plan.jobs)} captures ({kind}; {ability})")
    for scenario, reason in plan.skipped.items():
        progress(f"{scenario} skipped: {reason}")
    report = run(plan, out, seed=seed, jobs=jobs, kind=kind, progress=lambda *step: progress(describe(*step)))
    if len(report.failed) == len(plan.jobs):
        raise LabError(f"no capture could be made; the first failure: {report.failed[0].error}")
    return report


def describe(ended: int, total: int, outcome: Outcome) -> str:
    """One line about one job."""
    took = f" in {outcome.seconds:.1f} s" if outcome.result == "made" else ""
    return f"[{ended}/{total}] {outcome.session} {outcome.result}{took}" + (
        f": {outcome.error}" if outcome.error else ""
    )


def _watched(futures: list[Future[Outcome]], progress: Progress) -> Iterator[Outcome]:
    for ended, future in enumerate(as_completed(futures), 1):
        outcome = future.result()
        progress(ended, len(futures), outcome)
        yield outcome


def _do(job: Job, out: Path, *, seed: int, kind: str, stop: threading.Event) -> Outcome:
    take = Take(scenario=job.scenario, seed=seed, repeat=job.repeat, kind=kind)
    if is_complete(out / take.session, take):
        return Outcome(take.session, "kept")
    began = time.monotonic()
    try:
        capture(job.scenario, out, seed=seed, repeat=job.repeat, kind=kind, stopped=stop.is_set)
    except LabError as error:
        return Outcome(take.session, "failed", time.monotonic() - began, str(error))
    return Outcome(take.session, "made", time.monotonic() - began)


def is_complete(folder: Path, take: Take) -> bool:
    """Whether `folder` holds exactly this take, whole: same scenario text, seed and kind, and the right hash."""
    if not folder.is_dir():
        return False
    try:
        found = Capture.open(folder).manifest
    except InputError:
        return False
    wanted = (fingerprint(take.scenario), take.seed, take.kind)
    return (found.scenario_sha256, found.seed, found.kind) == wanted


@contextmanager
def _alone_in(out: Path) -> Iterator[None]:
    """Hold the folder's lock, and clear away what a killed runner left half done."""
    with (out / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LabError(
                f"another runner is at work in {out}; wait for it or choose another --out"
            ) from None
        for leftover in out.glob(f"{PARTIAL}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        yield
