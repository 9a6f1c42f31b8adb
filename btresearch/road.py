"""The whole road in one call: scenarios -> captures -> flows -> verdicts -> evidence.

The lab and the evidence don't know each other (`evidence` must not import the generator); this module is where
they meet, and the command line and notebooks call it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from btresearch import evidence as evidence_package
from btresearch.errors import BtresearchError
from btresearch.evidence.e1 import write
from btresearch.evidence.evidence import Evidence

CLAIMS = ("E1",)
"""The claims that this version can make evidence for."""


def evidence(
    claims: Sequence[str] = CLAIMS,
    *,
    out: Path,
    profile: str = "quick",
    netns: bool = True,
    jobs: int | None = None,
    seed: int = evidence_package.SEED,
    progress: Callable[[str], None] | None = None,
) -> tuple[Evidence, ...]:
    """Make the captures that are still missing below `out/captures`, then the evidence in `out`.

    An interrupted run goes on where it stopped: complete captures and their flow tables are kept.

    Raises:
        BtresearchError: an unknown claim or profile, or no usable capture.
    """
    from btresearch import lab

    unknown = [c for c in claims if c not in CLAIMS]
    if unknown:
        raise BtresearchError(f"claim {unknown[0]!r}: expected one of {', '.join(CLAIMS)}")
    workers = jobs or os.cpu_count() or 1
    say = progress or (lambda _: None)
    lab.capture_set(profile, out / "captures", seed=seed, jobs=workers, netns=netns, progress=say)
    found = evidence_package.e1(out / "captures", cache=out / "flows", jobs=workers, seed=seed, progress=say)
    return (write(found, out),)
