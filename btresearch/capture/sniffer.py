"""A live capture of one interface of the current network namespace."""

from __future__ import annotations

import logging
import threading
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from os import PathLike
from types import TracebackType
from typing import Self

from btresearch.capture.packet import Packet
from btresearch.capture.ring import DEFAULT_SHAPE, Ring, RingShape
from btresearch.capture.statistics import Statistics
from btresearch.capture.stop import StopRequest
from btresearch.capture.tcpdump import compile_filter
from btresearch.capture.writer import PcapngWriter
from btresearch.errors import BtresearchError

MAX_PENDING_BYTES = 512 << 20
"""Blocks copied out of the ring and not yet written; above it writing comes first, at the risk of drops."""

REORDER_NS = 1_000_000
"""How late a packet may enter the ring: the kernel stamps it first, and two processors race for the ring."""

_log = logging.getLogger(__name__)


class Sniffer:
    """Captures one interface to a pcapng file by a TPACKET_V3 ring.

    Blocks are copied out of the ring as soon as they are full and written when the ring has none, so that a
    burst costs a memory copy. `run` blocks until `stop`; as a context manager the capture runs in a thread and
    `statistics` is there afterwards.
    """

    def __init__(
        self,
        interface: str,
        target: str | PathLike[str],
        *,
        shape: RingShape = DEFAULT_SHAPE,
        expression: str = "",
    ) -> None:
        self._interface, self._target, self._shape = interface, target, shape
        self._ring = Ring(interface, shape=shape, program=compile_filter(expression))
        self._stop = StopRequest()
        self._pending: deque[bytes] = deque()
        self._pending_bytes = 0
        self._newest: list[Packet] = []
        self._thread = threading.Thread(target=self.run, name=f"sniffer {interface}", daemon=True)
        self.statistics: Statistics | None = None

    def run(self, ready: Callable[[], None] = lambda: None) -> Statistics:
        """Capture until `stop`; `ready` is called at once, since the ring takes packets from its making on."""
        with PcapngWriter(self._target, linktype=self._ring.linktype, interface=self._interface) as writer:
            ready()
            while not self._stop.wait(1000, self._ring):
                self._collect(writer)
            # What arrived before the stop may still be in a block that the kernel holds open.
            end_ns = time.monotonic_ns() + 3 * self._shape.retire_ms * 1_000_000
            while time.monotonic_ns() < end_ns:
                time.sleep(self._shape.retire_ms / 1000)
                self._collect(writer)
            self.statistics = self._finish(writer)
        self._ring.close()
        self._stop.close()
        return self.statistics

    def stop(self) -> None:
        """Let `run` drain the ring and return; safe in a signal handler and from another thread."""
        self._stop.make()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread.is_alive():
            self.stop()
        self._thread.join()
        if self.statistics is None and kind is None:
            raise BtresearchError(f"the capture of {self._interface} broke off")

    def _collect(self, writer: PcapngWriter) -> None:
        """Empty the ring, and write what is pending while it has nothing."""
        while True:
            block = self._ring.take() if self._pending_bytes < MAX_PENDING_BYTES else None
            if block is not None:
                self._pending.append(block)
                self._pending_bytes += len(block)
            elif self._pending:
                self._write_one(writer)
            else:
                return

    def _write_one(self, writer: PcapngWriter) -> None:
        """Write a block's packets in time order but for the newest, which the next block may precede."""
        block = self._pending.popleft()
        self._pending_bytes -= len(block)
        packets = sorted([*self._newest, *self._ring.packets(block)], key=_time)
        kept = bisect_left(packets, packets[-1].t_ns - REORDER_NS, key=_time) if packets else 0
        for packet in packets[:kept]:
            writer.write(packet)
        self._newest = packets[kept:]

    def _finish(self, writer: PcapngWriter) -> Statistics:
        for packet in self._newest:
            writer.write(packet)
        received, dropped = self._ring.statistics()
        counts = self._ring.counts
        writer.statistics(received=received, dropped=dropped, t_ns=time.time_ns())
        if dropped:
            _log.warning("%s: %d of %d packets were dropped", self._interface, dropped, received)
        if counts.oversize or counts.unsummed:
            _log.warning(
                "%s: offload is on (%d frames above the MTU, %d without checksum)",
                self._interface, counts.oversize, counts.unsummed,
            )  # fmt: skip
        return Statistics(
            written=writer.count,
            received=received,
            dropped=dropped,
            oversize=counts.oversize,
            unsummed=counts.unsummed,
        )


def _time(packet: Packet) -> int:
    return packet.t_ns
