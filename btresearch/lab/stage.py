"""Where actors act and what records them: two namespaces and a cable, or loopback and a relay."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

from btresearch.lab import netns
from btresearch.lab.errors import LabError
from btresearch.lab.scenario import Network

CLIENT, SERVER = "10.77.0.1", "10.77.0.2"  # addresses in the capture, whatever the stage
SETTLE_S = 0.1  # the last FINs and ACKs
SNIFFER_START_S = 15.0
SNIFFER_STOP_S = 10.0


class Stage(Protocol):
    """Two hosts. `place` and `reach` give real addresses; the capture shows CLIENT, SERVER and nominal ports."""

    kind: str

    def place(self, side: str, port: int) -> tuple[str, int]:
        """Address and port where a program of that side (`client` or `server`) binds."""

    def reach(self, port: int) -> tuple[str, int]:
        """Address and port where the client finds the server's nominal port."""

    def spawn(self, side: str, command: Sequence[str], **popen: Any) -> subprocess.Popen[bytes]:
        """Start a command on one side."""

    def recording(self, path: Path, ports: Sequence[tuple[int, bool]]) -> AbstractContextManager[None]:
        """Record to `path` (pcapng) during the block; `ports` are (nominal server port, is it UDP). Raises LabError."""


class WireStage:
    """Two network namespaces; the recorder is a packet socket on the client's end of the cable."""

    kind = "wire"

    def __init__(self, hosts: netns.Pair) -> None:
        self._hosts = hosts

    def place(self, side: str, port: int) -> tuple[str, int]:
        """Every host has its own address and its own ports."""
        return (CLIENT if side == "client" else SERVER), port

    def reach(self, port: int) -> tuple[str, int]:
        """There is nothing in between."""
        return SERVER, port

    def spawn(self, side: str, command: Sequence[str], **popen: Any) -> subprocess.Popen[bytes]:
        """Start a command in one namespace."""
        host = self._hosts.client if side == "client" else self._hosts.server
        return host.spawn(command, **popen)

    @contextmanager
    def recording(self, path: Path, _ports: Sequence[tuple[int, bool]]) -> Iterator[None]:
        """Sniff at the client's interface, both directions."""
        command = [sys.executable, "-m", "btresearch.capture.live", self._hosts.interface, str(path)]
        log = path.with_suffix(".log")
        with log.open("wb") as stderr:
            sniffer = self.spawn(
                "client", command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr
            )
        try:
            wait_for_line(sniffer, log, SNIFFER_START_S)
            yield
            time.sleep(SETTLE_S)
            sniffer.terminate()
            if sniffer.wait(SNIFFER_STOP_S) not in (0, -15):
                raise LabError(f"the sniffer failed: {log.read_text(errors='replace')[-400:]}")
        finally:
            sniffer.kill()
            sniffer.wait()
            assert sniffer.stdout is not None
            sniffer.stdout.close()


def wait_for_line(process: subprocess.Popen[bytes], log: Path, _timeout_s: float) -> None:
    """Wait for the first line that a recorder writes: it records from then on. Raises LabError."""
    assert process.stdout is not None
    if not process.stdout.readline():
        raise LabError(f"the recorder did not start: {log.read_text(errors='replace')[-400:].strip()}")


@contextmanager
def wire(network: Network) -> Iterator[Stage]:
    """Open a stage of namespaces. Raises NetnsError."""
    with netns.pair(mtu_bytes=network.mtu_bytes, client=CLIENT, server=SERVER) as hosts:
        yield WireStage(hosts)
