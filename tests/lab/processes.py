"""Look at the machine's processes through /proc."""

from __future__ import annotations

import time
from pathlib import Path


def parents() -> dict[int, int]:
    """Parent of every live process."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                after_name = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it ended meanwhile
            if after_name[0] != "Z":
                found[int(entry.name)] = int(after_name[1])
    return found


def descendants(ancestor: int) -> set[int]:
    """Every live process below `ancestor`."""
    found: set[int] = set()
    table = parents()
    fresh = {ancestor}
    while fresh:
        fresh = {child for child, parent in table.items() if parent in fresh} - found
        found |= fresh
    return found


def network_namespaces(processes: set[int]) -> set[str]:
    """The namespaces that these processes are in."""
    found = set()
    for process in processes:
        try:
            found.add(str(Path(f"/proc/{process}/ns/net").readlink()))
        except OSError:
            continue
    return found


def all_gone(processes: set[int], within_s: float = 5.0) -> bool:
    """Whether none of them is alive soon."""
    deadline = time.monotonic() + within_s
    while processes & parents().keys():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
