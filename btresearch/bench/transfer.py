"""Own peer beside libtorrent: one torrent, one cable, one run; MB/s, CPU and memory, and the ratios.

Each end is a process of its own. Time runs from the first payload byte to the last verified piece; CPU is
of both ends together, without starting them; memory is the larger peak of both.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from btresearch.bench.cable import Cable, cable
from btresearch.bench.content import Content
from btresearch.bench.usage import machine_cpu_s
from btresearch.errors import BtresearchError

MODULES = {"btresearch": "btresearch.bench.own_end", "libtorrent": "btresearch.bench.libtorrent_end"}
LEVELS = ("btls_basic", "btls_strict", "btls_full")
CASES = (
    ("btresearch", "clear"),
    ("libtorrent", "clear"),
    ("btresearch", "mse_rc4"),
    ("libtorrent", "mse_rc4"),
    *(("btresearch", level) for level in LEVELS),
    ("libtorrent", "ssl_torrent"),
)
PORT = 46881
# Both cores of a small machine are busy with one transfer: what somebody else takes comes off its speed.
QUIET_CORES = 0.2
MAX_ATTEMPTS = 3

Case = tuple[str, str]
Quantity = Literal["mb_per_s", "cpu_s_per_gb"]
SECURE, OPEN = ("libtorrent", "ssl_torrent"), ("libtorrent", "clear")


@dataclass(frozen=True)
class Target:
    """Own transport beside libtorrent's: at least `bound` of its MB/s, or at most `bound` of its CPU time."""

    own: str
    other: Case
    quantity: Quantity
    bound: float

    def holds(self, value: float) -> bool:
        """Whether a measured ratio is good enough."""
        return value >= self.bound if self.quantity == "mb_per_s" else value <= self.bound


TARGETS = (
    Target("clear", OPEN, "mb_per_s", 1.0),
    Target("mse_rc4", ("libtorrent", "mse_rc4"), "mb_per_s", 1.0),
    *(Target(level, SECURE, "mb_per_s", 2.0) for level in LEVELS),
    *(Target(level, OPEN, "mb_per_s", 1.0) for level in LEVELS),
    *(Target(level, SECURE, "cpu_s_per_gb", 1.0) for level in LEVELS),
)


class BenchError(BtresearchError):
    """An end failed; the message is its last line."""


@dataclass(frozen=True)
class Result:
    """Medians of `n` transfers; cpu_s_per_gb is per 10^9 bytes, peak_rss_mb the largest seen.

    `others_cores`: how many cores everybody else on the machine (and the kernel on nobody's account) used meanwhile.
    """

    peer: str
    transport: str
    mb_per_s: float
    cpu_s_per_gb: float
    peak_rss_mb: float
    others_cores: float
    n: int
    network: str


@dataclass(frozen=True)
class Ratio:
    """Own over libtorrent's: the median of the ratios of each round, with the least and the greatest."""

    ratio: str
    quantity: Quantity
    value: float
    low: float
    high: float
    target: float
    met: bool


@dataclass(frozen=True)
class Report:
    """What `run` measured: a row a case, and the ratios of those of which both halves were measured."""

    results: tuple[Result, ...]
    ratios: tuple[Ratio, ...]

    def json_lines(self) -> Iterator[str]:
        """One object a line: results, then ratios."""
        yield from (json.dumps(asdict(result)) for result in self.results)
        yield from (json.dumps(asdict(ratio)) for ratio in self.ratios)


Measured = dict[str, float]


def run(
    *,
    size_bytes: int = 1 << 30,
    repeat: int = 3,
    cases: Sequence[Case] = CASES,
    folder: Path | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> Report:
    """Time every case `repeat` times, round by round, so that other load on the machine hits all alike.

    One round more comes first and is not counted: it finds the content in no cache and the programs on the disk.
    A transfer during which others used more than QUIET_CORES is done again, MAX_ATTEMPTS times at most; the
    quietest counts.

    Raises:
        BenchError: an end failed.
    """
    chosen = [case for case in cases if case[0] != "libtorrent" or importlib.util.find_spec("libtorrent")]
    if len(chosen) < len(cases):
        progress("libtorrent is not installed: its half is left out (pip install 'btresearch[lab]')")
    rounds: list[dict[Case, Measured]] = []
    with tempfile.TemporaryDirectory(prefix="btresearch-bench-", dir=folder) as home, cable() as network:
        if network.remark:
            progress(f"over loopback: {network.remark}")
        content = Content.make(Path(home), size_bytes)
        for number in range(repeat + 1):
            progress(f"round {number} of {repeat}" if number else "a first round, which doesn't count")
            rounds.append({case: _quiet(partial(_transfer, case, content, network)) for case in chosen})
    counted = rounds[1:]
    results = tuple(_summary(case, counted, network.network) for case in chosen)
    return Report(results, tuple(ratios(counted)))


def ratios(rounds: Sequence[Mapping[Case, Measured]]) -> Iterator[Ratio]:
    """The targets both halves of which were measured. The two of a round ran within a minute of each other."""
    for target in TARGETS:
        own, other = ("btresearch", target.own), target.other
        found = sorted(
            one[own][target.quantity] / one[other][target.quantity]
            for one in rounds
            if own in one and other in one
        )
        if found:
            value = round(statistics.median(found), 3)
            title = f"{' '.join(own)} / {' '.join(other)}"
            low, high = round(found[0], 3), round(found[-1], 3)
            yield Ratio(title, target.quantity, value, low, high, target.bound, target.holds(value))


def _summary(case: Case, rounds: Sequence[Mapping[Case, Measured]], network: str) -> Result:
    def median(name: str, digits: int) -> float:
        return round(statistics.median(one[case][name] for one in rounds), digits)

    return Result(
        peer=case[0],
        transport=case[1],
        mb_per_s=median("mb_per_s", 1),
        cpu_s_per_gb=median("cpu_s_per_gb", 2),
        peak_rss_mb=round(max(one[case]["peak_rss_mb"] for one in rounds), 1),
        others_cores=median("others_cores", 2),
        n=len(rounds),
        network=network,
    )


def _quiet(transfer: Callable[[], Measured]) -> Measured:
    attempts: list[Measured] = []
    while len(attempts) < MAX_ATTEMPTS:
        attempts.append(transfer())
        if attempts[-1]["others_cores"] <= QUIET_CORES:
            break
    return min(attempts, key=lambda attempt: attempt["others_cores"])


def _transfer(case: Case, content: Content, network: Cable) -> Measured:
    os.sync()  # what the transfer before wrote is not to be written back during this one
    peer, transport = case
    out = content.home / "out"
    seed_task = content.task(transport, "seed") | {
        "folder": str(content.folder),
        "host": network.server.address,
        "port": PORT,
    }
    leech_task = content.task(transport, "leech") | {
        "folder": str(out),
        "host": network.client.address,
        "port": 0,
    }
    try:
        with _end(network.server.spawn, peer, seed_task) as seeder:
            port = _heard(seeder)["port"]
            began = machine_cpu_s(), time.monotonic()
            with _end(
                network.client.spawn, peer, leech_task | {"peer": [network.server.address, port]}
            ) as leech:
                fetched = _heard(leech)
            served = _finish(seeder)
            busy_s, took_s = machine_cpu_s() - began[0], time.monotonic() - began[1]
    finally:
        shutil.rmtree(out, ignore_errors=True)
    return _measured(content.torrent.total_bytes, fetched, served) | {
        "others_cores": max(0.0, busy_s - fetched["used_s"] - served["cpu_s"]) / took_s
    }


def _measured(size_bytes: int, fetched: Measured, served: Measured) -> Measured:
    return {
        "mb_per_s": size_bytes / 1e6 / fetched["seconds"],
        "cpu_s_per_gb": (fetched["cpu_s"] + served["cpu_s"]) / (size_bytes / 1e9),
        "peak_rss_mb": max(fetched["peak_rss_mb"], served["peak_rss_mb"]),
    }


@contextmanager
def _end(spawn: Callable[..., Any], peer: str, task: dict[str, Any]) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", MODULES[peer], json.dumps(task)]
    process = spawn(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def _heard(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        _, complaint = process.communicate(timeout=10)
        last = complaint.decode(errors="replace").strip().splitlines()[-1:] or ["it ended without a word"]
        raise BenchError(f"an end of the transfer failed: {last[0]}")
    answer: dict[str, Any] = json.loads(line)
    return answer


def _finish(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    assert process.stdin is not None
    process.stdin.write(b"\n")
    process.stdin.flush()
    return _heard(process)
