"""Captures in and out: packets, labels, manifests, live sniffing, and packets built from socket records.

for packet in capture.read("file.pcapng"):
    packet.t_ns, packet.data, packet.comment
"""

from __future__ import annotations

from btresearch.capture.packet import MAX_PACKET_BYTES, DamagedCapture, Packet
from btresearch.capture.reader import Reader, read

__all__ = ["MAX_PACKET_BYTES", "DamagedCapture", "Packet", "Reader", "read"]
