"""Every decoder that reads from the wire, from files or from links, by name.

`test_fuzz.py` runs each for a moment in CI; `python -m tests.fuzz.run_atheris NAME` for as long as one likes.
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.fuzz import captures, members, messages, metainfo, trackers, transports
from tests.fuzz.target import Target

TARGETS: Mapping[str, Target] = {
    **metainfo.TARGETS,
    **messages.TARGETS,
    **trackers.TARGETS,
    **transports.TARGETS,
    **members.TARGETS,
    **captures.TARGETS,
}
