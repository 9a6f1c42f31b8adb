"""nDPI itself, as nfstream ships it, asked one flow at a time with a fresh engine.

A fresh engine per flow costs about 20 ms and buys independence: nDPI remembers addresses and ports
of flows that it named, and labels later ones by that memory alone, so one clear tracker announce
would "detect" an encrypted flow. Only confidence "DPI" names a protocol here; what nDPI guesses from
a port, an address or its memory is told in `why`. From a flow that nDPI leaves unnamed nothing
follows about other engines.
"""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from btresearch.detect.cells import blobs, integer, rows, vector
from btresearch.detect.contract import Verdict, abstain, answers, bittorrent, flagged, other
from btresearch.errors import MissingTool

PROTOCOL = "BitTorrent"
DPI = 6
CONFIDENCE = {
    0: "unknown",
    1: "port guess",
    2: "nBPF rule",
    3: "partial DPI",
    4: "partial DPI and memory of other flows",
    5: "memory of other flows",
    6: "DPI",
    7: "address list",
    8: "aggressive DPI",
    9: "custom rule",
}
# Risks that say "hides something, or contradicts itself" (ndpi_risk_enum, nDPI 5.0). Those that ordinary
# TLS shows often (missing SNI, no HTTPS, an uncommon port, certificates, an extension younger than the
# engine) are told in `why` only.
SUSPICIONS = {"suspicious entropy", "obfuscated traffic", "tls alpn sni mismatch"}

PACKETS = 32  # nDPI's own limit per flow
NEVER_MS = 1 << 62
SNAPLEN_BYTES = 65535
PCAP_MAGIC_US = 0xA1B2C3D4


class Label(NamedTuple):
    """What the engine said of one flow; `risks` are names of ndpi_risk_enum in plain words."""

    name: str
    confidence: int
    risks: tuple[str, ...]


def pcap(linktype: int, frames: list[bytes], times_ns: list[int]) -> bytes:
    """A classic capture file (microseconds) of the frames."""
    parts = [struct.pack("<IHHiIII", PCAP_MAGIC_US, 2, 4, 0, 0, SNAPLEN_BYTES, linktype)]
    for frame, t_ns in zip(frames, times_ns, strict=True):
        seconds, rest_ns = divmod(max(0, t_ns), 10**9)
        parts += [struct.pack("<IIII", seconds & 0xFFFFFFFF, rest_ns // 1000, len(frame), len(frame)), frame]
    return b"".join(parts)


class Engine:
    """The compiled engine inside nfstream, reached as nfstream's own meter reaches it."""

    def __init__(self) -> None:
        try:
            from nfstream import engine
        except ImportError as error:
            raise MissingTool("nDPI's engine (nfstream)", "pip install nfstream") from error
        self._nfstream = engine
        self._ffi, self._lib = engine.create_engine()

    @property
    def version(self) -> str:
        """The version of nDPI that is compiled in."""
        return str(self._ffi.string(self._lib.engine_lib_ndpi_version()).decode())

    def label(self, path: Path) -> Label | None:
        """Label the capture at `path` as one flow; None when no packet of it could be decoded."""
        with self._dissector() as dissector, self._capture(path) as capture:
            flow = self._meter(capture, dissector)
            if flow is None:
                return None
            self._lib.meter_expire_flow(flow, PACKETS, dissector)
            label = self._read(flow)
            self._lib.meter_free_flow(flow, PACKETS, 0, 1)
            return label

    @contextmanager
    def _dissector(self) -> Iterator[Any]:
        dissector = self._nfstream.setup_dissector(self._ffi, self._lib, PACKETS)
        if dissector == self._ffi.NULL:
            raise MissingTool("nDPI's engine of a known version", "pip install nfstream==6.6.0")
        try:
            yield dissector
        finally:
            self._lib.dissector_cleanup(dissector)

    @contextmanager
    def _capture(self, path: Path) -> Iterator[Any]:
        error = self._ffi.new("char[256]")
        capture = self._nfstream.setup_capture(
            self._ffi, self._lib, str(path), SNAPLEN_BYTES, False, 0, error, 0, 0
        )
        opened = capture is not None and self._nfstream.activate_capture(capture, self._lib, error, None, 0)
        try:
            yield capture if opened else None
        finally:
            if capture is not None:
                self._lib.capture_close(capture)

    def _meter(self, capture: Any, dissector: Any) -> Any:
        flow = None
        while capture is not None:
            packet = self._ffi.new("struct nf_packet *")
            state = self._lib.capture_next(capture, packet, 0, 1, 0, 0)
            if state < 0:
                break
            if state == 0:
                continue
            if flow is None:
                flow = self._lib.meter_initialize_flow(packet, 0, 0, 0, PACKETS, dissector, 0)
            else:
                self._lib.meter_update_flow(flow, packet, NEVER_MS, NEVER_MS, 0, 0, 0, PACKETS, dissector, 0)
        return flow

    def _read(self, flow: Any) -> Label:
        mask = flow.ndpi_flow.risk if flow.ndpi_flow != self._ffi.NULL else 0
        risks = sorted(self._ffi.typeof("ndpi_risk_enum").elements.items())
        name = self._ffi.string(flow.application_name).decode("utf-8", "replace")
        return Label(
            name, int(flow.confidence), tuple(_words(risk) for bit, risk in risks if mask >> bit & 1)
        )


def _words(risk: str) -> str:
    return risk.removeprefix("NDPI_").replace("_", " ").lower()


def judge(label: Label) -> Verdict:
    """The verdict on a label: named by DPI, suspicious, merely guessed, or neither."""
    confidence = CONFIDENCE.get(label.confidence, str(label.confidence))
    named = PROTOCOL in label.name.split(".")
    why = "; ".join((f"nDPI says {label.name} by {confidence}", *label.risks))
    if named and label.confidence == DPI:
        return bittorrent(why)
    if named:
        why += "; a guess is not a detection"
    return flagged(why) if SUSPICIONS & set(label.risks) else other(why)


@dataclass(frozen=True, kw_only=True)
class Ndpi:
    """The engine over the first frames of each flow. Raises MissingTool without nfstream."""

    name: str = "ndpi"
    version: str = "2"
    cites: tuple[str, ...] = (
        "nDPI 5.0.0 inside nfstream 6.6.0 (github.com/nfstream/nfstream, github.com/ntop/nDPI)",
    )
    question: int = 1
    sees: tuple[str, ...] = ("linktype", "raw_frames", "raw_t_ns")
    needs: str = "a whole engine is replayed: it reads frames, with their addresses and ports"
    trained: bool = False

    def __call__(self, flows: pd.DataFrame) -> pd.DataFrame:
        """BitTorrent where DPI names it, flagged for a risk of SUSPICIONS, else other with the label."""
        if flows.empty:
            return answers(flows.index, [])
        engine = Engine()
        with tempfile.TemporaryDirectory(prefix="btresearch-ndpi-") as folder:
            path = Path(folder) / "flow.pcap"
            return answers(flows.index, [_verdict(engine, path, *row) for row in rows(flows, self.sees)])


def _verdict(engine: Engine, path: Path, linktype: object, frames: object, times_ns: object) -> Verdict:
    link, kept, times = integer(linktype), blobs(frames), vector(times_ns).tolist()
    if link < 0 or not kept or len(kept) != len(times):
        return abstain("no frames were kept")
    path.write_bytes(pcap(link, kept, times))
    label = engine.label(path)
    return abstain(f"nDPI decodes no packet of link type {link}") if label is None else judge(label)


DETECTOR = Ndpi()
