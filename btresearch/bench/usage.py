"""What a process used: CPU seconds and peak memory, told over a pipe as JSON lines."""

from __future__ import annotations

import json
import os
import re
import resource
import sys
from pathlib import Path


def cpu_s() -> float:
    """User and system time of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def machine_cpu_s() -> float:
    """Busy time of all cores since the machine started (proc(5): user to steal, without idle and iowait)."""
    fields = [int(field) for field in Path("/proc/stat").read_text(encoding="ascii").split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


def peak_rss_mb() -> float:
    """Peak resident memory in MB (10^6 bytes); VmHWM, which unlike ru_maxrss begins anew at exec."""
    status = Path("/proc/self/status")
    if status.exists():
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        if found:
            return int(found[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def say(**fields: object) -> None:
    """One JSON object on standard output, at once."""
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()
