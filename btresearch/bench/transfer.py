"""Own peer beside libtorrent: one torrent, one cable, one run; MB/s, CPU and memory, and the ratios.

Each end is a process of its own. Time runs from the first payload byte to the last verified piece; CPU is
of both ends together, without starting them; memory is the larger peak of both.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from btresearch.bench.cable import Cable, cable
from btresearch.errors import BtresearchError
from btresearch.lab import certificates
from btresearch.peer import bencode
from btresearch.session.torrent_file import create

MODULES = {"btresearch": "btresearch.bench.own_end", "libtorrent": "btresearch.bench.libtorrent_end"}
CASES = (
    ("btresearch", "clear"),
    ("btresearch", "mse_rc4"),
    ("btresearch", "btls_basic"),
    ("libtorrent", "clear"),
    ("libtorrent", "mse_rc4"),
    ("libtorrent", "ssl_torrent"),
)
# own transport, libtorrent's transport, the ratio aimed at
TARGETS = (("clear", "clear", 0.8), ("btls_basic", "ssl_torrent", 1.5), ("mse_rc4", "mse_rc4", 0.7))
MIB = 1 << 20
PORT = 46881
LIMIT_S = 400.0

log = logging.getLogger(__name__)


class BenchError(BtresearchError):
    """An end failed; the message is its last line."""


@dataclass(frozen=True)
class Result:
    """Medians of `n` transfers; cpu_s_per_gb is per 10^9 bytes, peak_rss_mb the largest seen."""

    peer: str
    transport: str
    mb_per_s: float
    cpu_s_per_gb: float
    peak_rss_mb: float
    n: int
    network: str


@dataclass(frozen=True)
class Ratio:
    """Own MB/s over libtorrent's, in this run."""

    ratio: str
    value: float
    target: float
    met: bool


@dataclass(frozen=True)
class _Content:
    folder: Path
    torrent: bytes
    ssl_torrent: bytes
    certificates: dict[str, dict[str, str]]
    size_bytes: int


def run(
    *,
    size_bytes: int = 1 << 30,
    repeat: int = 3,
    cases: Sequence[tuple[str, str]] = CASES,
    folder: Path | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> list[Result]:
    """Time every case `repeat` times, interleaved, so that other load on the machine hits all alike.

    Raises:
        BenchError: an end failed.
    """
    chosen = [case for case in cases if case[0] != "libtorrent" or importlib.util.find_spec("libtorrent")]
    if len(chosen) < len(cases):
        progress("libtorrent is not installed: its half is left out (pip install 'btresearch[lab]')")
    runs: dict[tuple[str, str], list[dict[str, float]]] = {case: [] for case in chosen}
    with tempfile.TemporaryDirectory(prefix="btresearch-bench-", dir=folder) as home, cable() as network:
        if network.remark:
            progress(f"over loopback: {network.remark}")
        content = _make_content(Path(home), size_bytes)
        for number in range(repeat):
            for case in chosen:
                progress(f"{number + 1}/{repeat} {case[0]} {case[1]}")
                runs[case].append(_transfer(case, content, network, Path(home)))
        return [_summary(case, measured, network.network) for case, measured in runs.items()]


def ratios(results: Sequence[Result]) -> list[Ratio]:
    """The targets that both halves of which were measured."""
    speed = {(result.peer, result.transport): result.mb_per_s for result in results}
    found = []
    for own, other, target in TARGETS:
        if ("btresearch", own) in speed and ("libtorrent", other) in speed:
            value = round(speed["btresearch", own] / speed["libtorrent", other], 3)
            found.append(Ratio(f"btresearch {own} / libtorrent {other}", value, target, value >= target))
    return found


def as_json(results: Sequence[Result]) -> Iterator[str]:
    """One object a line: results, then ratios."""
    yield from (json.dumps(asdict(result)) for result in results)
    yield from (json.dumps(asdict(ratio)) for ratio in ratios(results))


def _summary(case: tuple[str, str], measured: list[dict[str, float]], network: str) -> Result:
    def median(name: str, digits: int) -> float:
        return round(statistics.median(one[name] for one in measured), digits)

    peak = round(max(one["peak_rss_mb"] for one in measured), 1)
    return Result(*case, median("mb_per_s", 1), median("cpu_s_per_gb", 2), peak, len(measured), network)


def _make_content(home: Path, size_bytes: int) -> _Content:
    folder = home / "seed"
    folder.mkdir()
    _write_random(folder / "content.bin", size_bytes)
    root = certificates.authority("torrent root")
    document = create(folder / "content.bin").dump()
    return _Content(
        folder=folder,
        torrent=document,
        ssl_torrent=_with_ssl_root(document, root.pem),
        certificates={
            role: certificates.peer(home / role / "certificate", root) for role in ("seed", "leech")
        },
        size_bytes=size_bytes,
    )


def _write_random(path: Path, size_bytes: int) -> None:
    block = os.urandom(MIB)
    with path.open("wb") as file:
        for number in range(-(-size_bytes // MIB)):  # every piece its own: the block is rotated
            turn = number % MIB
            file.write((block[turn:] + block[:turn])[: size_bytes - number * MIB])


def _with_ssl_root(document: bytes, pem: str) -> bytes:
    """An SSL torrent as libtorrent wants it: the root certificate as `ssl-cert` in the info dictionary."""
    fields: Any = bencode.decode(document)
    fields[b"info"][b"ssl-cert"] = pem.encode()
    return bencode.encode(fields)


def _transfer(case: tuple[str, str], content: _Content, network: Cable, home: Path) -> dict[str, float]:
    out = home / "out"
    peer, transport = case
    ssl = transport == "ssl_torrent"
    task: dict[str, Any] = {
        "transport": transport,
        "torrent": (content.ssl_torrent if ssl else content.torrent).decode("latin-1"),
    }
    both = {
        role: task | ({"certificate": content.certificates[role]} if ssl else {})
        for role in ("seed", "leech")
    }
    seed_task = both["seed"] | {
        "role": "seed",
        "folder": str(content.folder),
        "host": network.server.address,
        "port": PORT,
    }
    try:
        with _end(network.server.spawn, peer, seed_task) as seeder:
            port = _heard(seeder)["port"]
            leech_task = both["leech"] | {
                "role": "leech",
                "folder": str(out),
                "host": network.client.address,
                "port": 0,
                "peer": [network.server.address, port],
            }
            with _end(network.client.spawn, peer, leech_task) as leech:
                fetched = _heard(leech)
            served = _finish(seeder)
    finally:
        shutil.rmtree(out, ignore_errors=True)
    gigabytes = content.size_bytes / 1e9
    return {
        "mb_per_s": content.size_bytes / 1e6 / fetched["seconds"],
        "cpu_s_per_gb": (fetched["cpu_s"] + served["cpu_s"]) / gigabytes,
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
