"""Where actors act and what records them: two namespaces and a cable, or loopback and a relay."""

from __future__ import annotations

import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

from btresearch.lab import netns
from btresearch.lab.errors import LabError
from btresearch.lab.scenario import Network

CLIENT, SERVER = "10.77.0.1", "10.77.0.2"  # addresses in the capture, whatever the stage
SETTLE_S = 0.1  # the last FINs and ACKs
START_S = 20.0
STOP_S = 20.0


class Stage(Protocol):
    """Two hosts. `place` and `reach` give real addresses; the capture shows CLIENT, SERVER and nominal ports."""

    kind: str

    def place(self, side: str, port: int) -> tuple[str, int]:
        """Address and port where a program of that side (`client` or `server`) binds."""

    def reach(self, port: int) -> tuple[str, int]:
        """Address and port where the client finds the server's nominal port."""

    def spawn(self, side: str, command: Sequence[str], **popen: Any) -> subprocess.Popen[bytes]:
        """Start a command on one side."""

    def recording(self, path: Path, ports: Sequence[tuple[int, bool]]) -> AbstractContextManager[Recorder]:
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

    def recording(self, path: Path, ports: Sequence[tuple[int, bool]]) -> AbstractContextManager[Recorder]:
        """Sniff at the client's interface, both directions."""
        command = [sys.executable, "-m", "btresearch.capture.live", self._hosts.interface, str(path)]
        return recorder(lambda **popen: self.spawn("client", command, **popen), path)


class Recorder:
    """A child process that says a line when it records, and ends well on SIGTERM."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process, self._log = process, log

    def wait_ready(self) -> None:
        """Wait until it records. Raises LabError."""
        stdout = self._process.stdout
        assert stdout is not None
        if not select.select([stdout], [], [], START_S)[0] or not stdout.readline():
            raise LabError(f"the recorder did not start: {self._tail()}")

    def finish(self) -> None:
        """Let the last packets pass, and have the file completed. Raises LabError."""
        time.sleep(SETTLE_S)
        self._process.terminate()
        try:
            status = self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            raise LabError(f"the recorder did not end: {self._tail()}") from None
        if status != 0:
            raise LabError(f"the recorder ended with status {status}: {self._tail()}")

    def _tail(self) -> str:
        return self._log.read_text(errors="replace")[-400:].strip() or "(empty log)"


@contextmanager
def recorder(start: Callable[..., subprocess.Popen[bytes]], path: Path) -> Iterator[Recorder]:
    """Run a recorder for the block; its file is complete when the block ends without an exception."""
    log = path.with_suffix(".log")
    with log.open("wb") as stderr:
        process = start(stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr)
    try:
        running = Recorder(process, log)
        yield running
        running.finish()
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@contextmanager
def wire(network: Network) -> Iterator[Stage]:
    """Open a stage of namespaces. Raises NetnsError."""
    with netns.pair(mtu_bytes=network.mtu_bytes, client=CLIENT, server=SERVER) as hosts:
        yield WireStage(hosts)
