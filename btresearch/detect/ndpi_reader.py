"""nDPI's own command-line reader (ndpiReader, Debian's libndpi-bin), over the first frames of every flow.

A second build of the engine beside the one inside nfstream, as a distribution ships it. One run reads all flows:
each gets addresses of its own (as for `tshark`). nDPI 4.x remembers BitTorrent's ends by address plus port, so that
neighbours may still be taken for each other; flows that it names from memory are asked once more, few at a time and
with addresses that no port can bridge. Guessing from ports is switched off (-d). From a flow that it leaves unnamed
nothing follows about other engines.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path

import pandas as pd

from btresearch.detect.cells import integer, rows
from btresearch.detect.contract import Verdict, abstain, answers, bittorrent, flagged, other
from btresearch.detect.ndpi import PROTOCOL, SUSPICIONS, pcap
from btresearch.detect.tshark import ETHERNET, MAX_FLOWS, TIMEOUT_S, Frame, frames_of
from btresearch.errors import MissingTool

DPI, MEMORY, OWN_MEMORY = "DPI", "cache", "DPI of its own earlier packets"
SPACING_BITS, AT_ONCE = 16, 1 << 7  # a port's bits; so many flows fit into 10.0.0.0/8 then
UNKNOWN = "Unknown"
GAP_NS = 10**6
# A flow's line of `-v 2`, as nDPI 4.x and 5.x print it.
ENDS = re.compile(r"\s(10\.\d+\.\d+\.\d+):\d+ <?->")
NAME = re.compile(r"\[proto: [\d.]+/([^\]]+)\]")
CONFIDENCE = re.compile(r"\[Confidence: ([^\]]+)\]")
RISK = re.compile(r"\[Risk: ([^\]]*)\]")


@dataclass(frozen=True)
class Label:
    """What the reader printed of one flow; `risks` are its words in lower case."""

    name: str
    confidence: str
    risks: tuple[str, ...]


def labels(cells: dict[int, object]) -> dict[int, Label]:
    """The reader's label by flow, whose raw frames are the cells. Raises MissingTool without ndpiReader."""
    found = run({row: row for row in cells}, cells)
    again = [row for row, label in found.items() if MEMORY in label.confidence]
    for at in range(0, len(again), AT_ONCE):
        alone = run({k << SPACING_BITS: row for k, row in enumerate(again[at : at + AT_ONCE])}, cells)
        found |= {row: _own(label) for row, label in alone.items()}
    return found


def _own(label: Label) -> Label:
    """Where no other flow can be remembered, a flow named from memory was named by its own earlier packets."""
    return replace(label, confidence=OWN_MEMORY) if MEMORY in label.confidence else label


def run(numbers: dict[int, int], cells: dict[int, object]) -> dict[int, Label]:
    """One run over the flows that `numbers` lists by the number that makes their addresses."""
    frames = [frame for number, row in numbers.items() for frame in frames_of(number, cells[row])]
    return {numbers[number]: label for number, label in _read(frames).items()} if frames else {}


def _read(frames: list[Frame]) -> dict[int, Label]:
    program = shutil.which("ndpiReader")
    if program is None:
        raise MissingTool("ndpiReader", "apt-get install libndpi-bin")
    with tempfile.TemporaryDirectory(prefix="btresearch-ndpi-") as folder:
        path = Path(folder) / "flows.pcap"
        times_ns = [GAP_NS * number for number in range(len(frames))]
        path.write_bytes(pcap(ETHERNET, [frame.data for frame in frames], times_ns))
        command = [program, "-d", "-v", "2", "-i", str(path)]
        ran = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=TIMEOUT_S, check=False
        )
    return parse(ran.stdout.splitlines())


def parse(lines: Iterable[str]) -> dict[int, Label]:
    """The labels in the reader's output, by the number that the flow's address tells."""
    found: dict[int, Label] = {}
    for line in lines:
        ends, name = ENDS.search(line), NAME.search(line)
        if ends is None or name is None:
            continue
        row = (int(ip_address(ends[1])) & 0xFFFFFF) >> 1
        confidence, risk = CONFIDENCE.search(line), RISK.search(line)
        words = [word.strip(" *").lower() for word in risk[1].split("**")] if risk else []
        found[row] = Label(
            name[1], confidence[1] if confidence else "", tuple(word for word in words if word)
        )
    return found


def judge(label: Label | None) -> Verdict:
    """Named by DPI, flagged for a risk of SUSPICIONS, or neither; unnamed is "cannot say"."""
    if label is None:
        return abstain("no frame of IPv4 on Ethernet was kept, or the reader printed no line for it")
    by = f" by {label.confidence}" if label.confidence else ""
    why = "; ".join((f"ndpiReader says {label.name}{by}", *label.risks))
    named = PROTOCOL in label.name.split(".")
    if named and label.confidence in (DPI, OWN_MEMORY, ""):
        return bittorrent(why)
    if any(_suspicion(risk) for risk in label.risks):
        return flagged(why)
    return abstain(f"{why}: this engine cannot say") if label.name == UNKNOWN else other(why)


def _suspicion(risk: str) -> bool:
    """The reader's words for SUSPICIONS: "susp entropy", "obfuscated traffic", "alpn/sni mismatch"."""
    return risk in SUSPICIONS or risk.startswith(("susp entropy", "alpn/sni mismatch", "obfuscated traffic"))


@dataclass(frozen=True, kw_only=True)
class NdpiReader:
    """The installed ndpiReader. Raises MissingTool without it."""

    name: str = "ndpi_reader"
    version: str = "1"
    cites: tuple[str, ...] = ("nDPI, example/ndpiReader.c, as the distribution ships it (libndpi-bin)",)
    question: int = 1
    sees: tuple[str, ...] = ("linktype", "raw_frames")
    needs: str = "a whole engine is replayed: it reads frames, with their ports; addresses are replaced"
    trained: bool = False

    def __call__(self, flows: pd.DataFrame) -> pd.DataFrame:
        """BitTorrent where DPI names it, flagged for a risk, other with the label, abstain where it cannot say."""
        cells = {
            row: cell
            for row, (linktype, cell) in enumerate(rows(flows, self.sees))
            if integer(linktype) == ETHERNET and row < MAX_FLOWS
        }
        found = labels(cells)
        return answers(flows.index, [judge(found.get(row)) for row in range(len(flows))])


DETECTOR = NdpiReader()
