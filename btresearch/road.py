"""The whole road in one call: scenarios -> captures -> flows -> verdicts -> evidence.

The lab and the evidence don't know each other (`evidence` must not import the generator); this module is where
they meet, and the command line and notebooks call it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from btresearch import lab
from btresearch.capture import Capture
from btresearch.errors import BtresearchError
from btresearch.evidence import Evidence, Material, companion, e1, e2, e3, e4, e5, e6, files, gather, report
from btresearch.evidence.material import SEED

MAKERS: dict[str, Callable[[Material], Evidence]] = {
    "E1": e1.evidence,
    "E2": e2.evidence,
    "E3": e3.evidence,
    "E4": e4.evidence,
    "E5": e5.evidence,
    "E6": e6.evidence,
}
CLAIMS = tuple(MAKERS)
"""The claims that this version can make evidence for."""


def evidence(
    claims: Sequence[str] = CLAIMS,
    *,
    out: Path,
    profile: str = "quick",
    netns: bool = True,
    jobs: int | None = None,
    seed: int = SEED,
    progress: Callable[[str], None] | None = None,
) -> tuple[Evidence, ...]:
    """Make the captures that are still missing below `out/captures`, then the evidence in `out`.

    An interrupted run goes on where it stopped: complete captures and their flow tables are kept.

    Raises:
        BtresearchError: an unknown claim or profile, no usable capture, or another run at work in `out`.
    """
    unknown = [c for c in claims if c not in CLAIMS]
    if unknown:
        raise BtresearchError(f"claim {unknown[0]!r}: expected one of {', '.join(CLAIMS)}")
    workers = jobs or os.cpu_count() or 1
    say = progress or (lambda _: None)
    report_ = lab.capture_set(profile, out / "captures", seed=seed, jobs=workers, netns=netns, progress=say)
    material = gather(
        out / "captures",
        sessions=frozenset(outcome.session for outcome in report_.outcomes),
        cache=out / "flows",
        jobs=workers,
        seed=seed,
        notes=_notes(report_),
        protocol=True,
        progress=say,
    )
    return write(claims, material, out, profile=profile, progress=say)


def write(
    claims: Sequence[str],
    material: Material,
    out: Path,
    *,
    profile: str = "quick",
    progress: Callable[[str], None] | None = None,
) -> tuple[Evidence, ...]:
    """Make the claims from `material` and write every table and figure, index.html and evidence.rst into `out`."""
    say, found = progress or (lambda _: None), []
    for claim in claims:
        say(f"claim: {claim}")
        found.append(files.save(MAKERS[claim](material), out))
    if material.evaluation is not None:
        material.evaluation.save(out / "protocol")
    report.write(found, out / "index.html")
    made = companion.results(found, profile=profile)
    (out / "evidence.json").write_text(companion.dump(made), encoding="utf-8")
    (out / "evidence.rst").write_text(companion.render(made), encoding="utf-8")
    return tuple(found)


def _notes(report: lab.Report) -> tuple[str, ...]:
    lines = [f"not captured: {name}: {why}" for name, why in sorted(report.skipped.items())]
    return (*lines, *(f"capture failed: {o.session}: {o.error}" for o in report.failed))


SAMPLES = (
    "lt_clear",
    "lt_mse_rc4",
    "lt_ssl_torrent",
    "own_btls_basic_rechunk",
    "own_btls_basic_none",
    "cover_chrome_pages",
    "cover_ssl_rpc",
    "cover_upload",
)
"""Scenarios of the small captures that are kept in git."""

SAMPLE_FLOWS, SAMPLE_REPEATS, SAMPLE_BYTES = 3, 2, (140 * 1024, 280 * 1024)


def samples(
    out: Path, *, seed: int = SEED, jobs: int = 2, progress: Callable[[str], None] | None = None
) -> tuple[Path, ...]:
    """Make the small labelled captures that notebooks run from: two sessions of three flows per scenario.

    Raises:
        LabError: a capture failed.
    """
    small = [_shrunk(scenario) for scenario in lab.resolve(SAMPLES)]
    plan = lab.draw_up(small, seed=seed, repeats=SAMPLE_REPEATS)
    say = progress or (lambda _: None)
    report = lab.run(
        plan, out, seed=seed, jobs=jobs, progress=lambda k, n, o: say(f"{k} of {n}: {o.session} {o.result}")
    )
    if report.failed:
        raise lab.LabError(f"{len(report.failed)} captures failed; the first: {report.failed[0].error}")
    folders = tuple(sorted(out / outcome.session for outcome in report.outcomes))
    for folder in folders:
        (folder / "README.md").write_text(readme(Capture.open(folder)), encoding="utf-8")
    return folders


def readme(capture: Capture) -> str:
    """A capture's README: what it holds, how it came to be, and its hash."""
    manifest, labels = capture.manifest, capture.labels()
    who = labels[["transport", "shape", "client", "server", "kind"]].iloc[0]
    shape = f" shape `{who['shape']}`" if who["shape"] else ""
    about = {s.name: s.about for s in lab.resolve([manifest.scenario])}[manifest.scenario]
    tools = ", ".join(f"{name} {version}" for name, version in sorted(manifest.tools.items()))
    return (
        f"# {capture.folder.name}\n\n{about}.\n\n"
        f"- {len(labels)} flows, {manifest.packets} packets, {manifest.dropped} dropped; kind: {manifest.kind}\n"
        f"- transport `{who['transport']}`{shape}, "
        f"{who['kind'] or who['client']} to {who['server']}; network profile `{manifest.profile}`\n"
        f"- labels: from the programs that made the flows (`labels.parquet`, and pcapML comments in the packets)\n"
        f"- made by scenario `{manifest.scenario}`, seed {manifest.seed}, with {tools}\n"
        f"- sha256 of capture.pcapng: `{manifest.sha256}`\n"
    )


def _shrunk(scenario: lab.Scenario) -> lab.Scenario:
    traffic = tuple(replace(t, flows=SAMPLE_FLOWS, size_bytes=SAMPLE_BYTES) for t in scenario.traffic)
    return replace(scenario, traffic=traffic)
