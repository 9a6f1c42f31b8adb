"""Wireshark itself (tshark), over the first frames of every flow, with its settings as installed.

One run reads all flows. So that no flow is dissected as the continuation of another (captures share addresses),
every flow gets a pair of IPv4 addresses of its own; ports stay, since Wireshark's tables of ports are part of what
is asked. Flows without IPv4 on Ethernet are abstained on.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from btresearch.detect.cells import blobs, integer, rows
from btresearch.detect.contract import Verdict, abstain, answers, bittorrent, other
from btresearch.detect.ndpi import pcap
from btresearch.errors import MissingTool

DISSECTORS = frozenset({"bittorrent", "bt-dht", "bt-utp", "bt-tracker"})
ETHERNET, IPV4 = 1, b"\x08\x00"
HEADER_BYTES = 14
TIMEOUT_S = 600
MAX_FLOWS = 1 << 22  # pairs of addresses in 10.0.0.0/8


class Frame(NamedTuple):
    """A frame of flow `row`, readdressed."""

    row: int
    data: bytes


def readdressed(frame: bytes, number: int, low: bytes) -> bytes:
    """An Ethernet frame of IPv4 with the flow's own addresses; whoever had the address `low` keeps the lower one."""
    pair = [struct.pack(">I", 10 << 24 | number << 1 | end) for end in (0, 1)]
    source, target = pair if frame[HEADER_BYTES + 12 : HEADER_BYTES + 16] == low else pair[::-1]
    return frame[: HEADER_BYTES + 12] + source + target + frame[HEADER_BYTES + 20 :]


def frames_of(row: int, cell: object) -> Iterator[Frame]:
    """The flow's frames of IPv4 on Ethernet, readdressed."""
    kept = [f for f in blobs(cell) if f[12:HEADER_BYTES] == IPV4 and len(f) >= HEADER_BYTES + 20]
    low = min((f[HEADER_BYTES + 12 : HEADER_BYTES + 16] for f in kept), default=b"")
    for frame in kept:
        yield Frame(row, readdressed(frame, row, low))


def protocols(frames: list[Frame]) -> dict[int, set[str]]:
    """Which of DISSECTORS tshark used, by flow. Raises MissingTool without tshark."""
    program = shutil.which("tshark")
    if program is None:
        raise MissingTool("tshark", "apt-get install tshark")
    with tempfile.TemporaryDirectory(prefix="btresearch-tshark-") as folder:
        path = Path(folder) / "flows.pcap"
        path.write_bytes(pcap(ETHERNET, [frame.data for frame in frames], _times_ns(frames)))
        command = [
            program,
            "-n",
            "-r",
            str(path),
            "-T",
            "fields",
            "-e",
            "frame.number",
            "-e",
            "frame.protocols",
        ]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    return _by_flow(frames, ran.stdout.splitlines())


def _times_ns(frames: list[Frame]) -> list[int]:
    return [10**6 * number for number in range(len(frames))]


def _by_flow(frames: list[Frame], lines: Iterable[str]) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for line in lines:
        number, _, stack = line.partition("\t")
        if number.isdigit() and 0 < int(number) <= len(frames):
            found.setdefault(frames[int(number) - 1].row, set()).update(DISSECTORS & set(stack.split(":")))
    return found


@dataclass(frozen=True, kw_only=True)
class Tshark:
    """The installed tshark's dissectors. Raises MissingTool without it."""

    name: str = "tshark"
    version: str = "1"
    cites: tuple[str, ...] = ("Wireshark (tshark) as installed, default preferences",)
    question: int = 1
    sees: tuple[str, ...] = ("linktype", "raw_frames")
    needs: str = "a whole engine is replayed: it reads frames, with their ports; addresses are replaced"
    trained: bool = False

    def __call__(self, flows: pd.DataFrame) -> pd.DataFrame:
        """BitTorrent with the dissectors that took its frames, other, or abstain without usable frames."""
        frames = [
            frame
            for row, (linktype, cell) in enumerate(rows(flows, self.sees))
            if integer(linktype) == ETHERNET and row < MAX_FLOWS
            for frame in frames_of(row, cell)
        ]
        found = protocols(frames) if frames else {}
        return answers(flows.index, [_verdict(found.get(row)) for row in range(len(flows))])


def _verdict(dissectors: set[str] | None) -> Verdict:
    if dissectors is None:
        return abstain("no frame of IPv4 on Ethernet was kept")
    return (
        bittorrent(f"dissected as {', '.join(sorted(dissectors))}")
        if dissectors
        else other("no such dissector")
    )


DETECTOR = Tshark()
