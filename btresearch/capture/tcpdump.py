"""tcpdump: the capture where the ring can't be had, and the compiler of filter expressions."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import IO, cast

from btresearch.capture.reader import read
from btresearch.capture.ring import Instruction
from btresearch.capture.statistics import Statistics
from btresearch.capture.stop import StopRequest
from btresearch.capture.writer import PcapngWriter
from btresearch.errors import BtresearchError, MissingTool

BUFFER_KIB = 128 << 10
MAX_INSTRUCTIONS = 4096  # BPF_MAXINSNS of linux/bpf_common.h

SETTLE_S = 1.2  # libpcap hands a part-filled block over after 1 s
MAX_SETTLE_S = 10.0
_RECEIVED = re.compile(r"(\d+) packets? received by filter")
_DROPPED = re.compile(r"(\d+) packets? dropped by (?:kernel|interface)")


def compile_filter(expression: str) -> list[Instruction]:
    """Return the BPF program of a pcap-filter expression for Ethernet; [] for an empty one.

    Raises `MissingTool` without tcpdump, `BtresearchError` for a wrong expression.
    """
    if not expression:
        return []
    command = [_tcpdump(), "-y", "EN10MB", "-ddd", "--", expression]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BtresearchError(f"filter {expression!r}: {done.stderr.strip().splitlines()[-1]}")
    lines = done.stdout.split("\n")[1 : MAX_INSTRUCTIONS + 1]
    return [cast("Instruction", tuple(map(int, line.split()))) for line in lines if line]


class Tcpdump:
    """A capture by tcpdump, written as pcapng with ns times and drop counters; same calls as `Sniffer`.

    It can't start in an unprivileged user namespace, where its change of groups is refused; the ring can.
    """

    def __init__(self, interface: str, target: str | PathLike[str], *, expression: str = "") -> None:
        self._interface, self._target, self._stop = interface, Path(target), StopRequest()
        # Into a file: when SIGINT meets a write to a full pipe, tcpdump loses the rest of its buffer.
        self._raw = self._target.with_name(self._target.name + ".tcpdump.pcap")
        options = ["-i", interface, "-B", str(BUFFER_KIB), "-s", "0", "-n", "--time-stamp-precision=nano"]
        # -Z root: dropping privileges would need the right to, which an unprivileged namespace lacks.
        self._process = subprocess.Popen(
            [
                _tcpdump(),
                *options,
                "-Z",
                "root",
                "-w",
                self._raw,
                "--",
                *([expression] if expression else []),
            ],
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )

    def run(self, ready: Callable[[], None] = lambda: None) -> Statistics:
        """Capture until `stop`; `ready` is called when packets are being taken."""
        with self._process as process:
            stderr = cast("IO[str]", process.stderr)
            said = _said_until_listening(stderr)
            ready()
            while not self._stop.wait(500) and process.poll() is None:
                pass
            self._settle()
            process.send_signal(signal.SIGINT)
            said += stderr.read()
        self._stop.close()
        try:
            return self._converted(said)
        finally:
            self._raw.unlink()

    def stop(self) -> None:
        """Let `run` end the capture and return; safe in a signal handler and from another thread."""
        self._stop.make()

    def _settle(self) -> None:
        """Wait until the file stops growing: at SIGINT tcpdump forgets what it hasn't read from the kernel."""
        size, deadline = -1, time.monotonic() + MAX_SETTLE_S
        while size != (size := self._raw.stat().st_size) and time.monotonic() < deadline:
            time.sleep(SETTLE_S)

    def _converted(self, said: str) -> Statistics:
        received, dropped = (sum(map(int, pattern.findall(said))) for pattern in (_RECEIVED, _DROPPED))
        last_ns = 0
        with PcapngWriter(self._target, interface=self._interface) as writer:
            for packet in read(self._raw):
                writer.write(packet)
                last_ns = packet.t_ns
            dropped += max(0, received - writer.count)  # left unread in the kernel
            writer.statistics(received=received, dropped=dropped, t_ns=last_ns)
            return Statistics(written=writer.count, received=received, dropped=dropped)


def _tcpdump() -> str:
    found = shutil.which("tcpdump") or shutil.which("tcpdump", path="/usr/sbin:/sbin")
    if found is None:
        raise MissingTool("tcpdump", "tcpdump")
    return found


def _said_until_listening(stderr: IO[str]) -> str:
    said = ""
    for line in stderr:
        said += line
        if "listening on" in said:
            return said
    raise BtresearchError(f"tcpdump did not start: {said.strip()}")
