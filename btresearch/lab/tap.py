"""The fallback stage: everything on loopback, with a recording relay between client and server."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from btresearch.lab import netns, stage
from btresearch.lab.relay import Route
from btresearch.lab.scenario import Network

ORDINARY_PORTS = 1024  # below it an ordinary user may not listen
SHIFT = 10_000
_numbers = itertools.count()


class LoopbackStage:
    """Four addresses of 127.0.0.0/8: client, server, relay towards the client, relay towards the server.

    Another stage of this or another process gets other addresses, so that ports never clash.
    """

    kind = "packetised"

    def __init__(self, network: Network) -> None:
        pid, number = os.getpid(), next(_numbers) % 62
        prefix = f"127.{1 + pid // 256 % 254}.{pid % 256}"
        self._client, self._server, self._front, self._back = (
            f"{prefix}.{4 * number + n}" for n in range(1, 5)
        )
        self._mtu_bytes = network.mtu_bytes

    def place(self, side: str, port: int) -> tuple[str, int]:
        """Each side has its own address."""
        return (self._client if side == "client" else self._server), _real(port)

    def reach(self, port: int) -> tuple[str, int]:
        """The client talks to the relay."""
        return self._front, _real(port)

    def spawn(self, side: str, command: Sequence[str], **popen: Any) -> subprocess.Popen[bytes]:
        """Start a command (both sides are the same host); it dies with this process."""
        return subprocess.Popen(netns.script("here", str(os.getpid()), "--", *command), **popen)

    def recording(
        self, path: Path, ports: Sequence[tuple[int, bool]]
    ) -> AbstractContextManager[stage.Recorder]:
        """Relay and record these ports."""
        routes = [asdict(self._route(port, udp)) for port, udp in ports]
        task = path.with_suffix(".relay.json")
        task.write_text(json.dumps({"routes": routes, "mtu_bytes": self._mtu_bytes}), encoding="utf-8")
        command = [sys.executable, "-m", "btresearch.lab.relay", str(task), str(path)]
        return stage.recorder(lambda **popen: self.spawn("client", command, **popen), path)

    def _route(self, port: int, udp: bool) -> Route:
        return Route(
            "udp" if udp else "tcp",
            listen=self.reach(port),
            server=self.place("server", port),
            leave=self._back,
            client=stage.CLIENT,
            shown=(stage.SERVER, port),
        )


def _real(port: int) -> int:
    return port + SHIFT if 0 < port < ORDINARY_PORTS else port


@contextmanager
def packetised(network: Network) -> Iterator[stage.Stage]:
    """Open a stage on loopback."""
    yield LoopbackStage(network)
