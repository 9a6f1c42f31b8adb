"""Captures in and out: packets, labels, manifests, live sniffing, and packets built from socket records.

for packet in capture.read("file.pcapng"):
    packet.t_ns, packet.data, packet.comment

recorded = capture.Capture.open("captures/clear")
recorded.manifest, recorded.labels(), recorded.packets()
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from btresearch.capture.annotate import Annotated, annotate
from btresearch.capture.comment import Sample, format_comment, parse_comment
from btresearch.capture.manifest import Load, Manifest, read_manifest, sha256_of
from btresearch.capture.packet import MAX_PACKET_BYTES, DamagedCapture, Packet
from btresearch.capture.packetise import Conversation, Record, packetise
from btresearch.capture.reader import Reader, read
from btresearch.capture.sniffer import Sniffer
from btresearch.capture.statistics import Statistics
from btresearch.capture.writer import PcapngWriter, write_pcap, write_pcapng

if TYPE_CHECKING:
    from btresearch.capture.folder import CAPTURE_FILE, LABELS_FILE, MANIFEST_FILE, Capture
    from btresearch.capture.labels import FlowLabel, labels_frame, normal_ip, read_labels, write_labels

_TABLES = {
    "folder": ("CAPTURE_FILE", "LABELS_FILE", "MANIFEST_FILE", "Capture"),
    "labels": ("FlowLabel", "labels_frame", "normal_ip", "read_labels", "write_labels"),
}


def __getattr__(name: str) -> Any:
    # A sniffer starts for every capture, and must not wait for pandas and pyarrow.
    for module, names in _TABLES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "CAPTURE_FILE",
    "LABELS_FILE",
    "MANIFEST_FILE",
    "MAX_PACKET_BYTES",
    "Annotated",
    "Capture",
    "Conversation",
    "DamagedCapture",
    "FlowLabel",
    "Load",
    "Manifest",
    "Packet",
    "PcapngWriter",
    "Reader",
    "Record",
    "Sample",
    "Sniffer",
    "Statistics",
    "annotate",
    "format_comment",
    "labels_frame",
    "normal_ip",
    "packetise",
    "parse_comment",
    "read",
    "read_labels",
    "read_manifest",
    "sha256_of",
    "write_labels",
    "write_pcap",
    "write_pcapng",
]
