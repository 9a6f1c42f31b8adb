"""Where a transfer is timed: two network namespaces joined by a veth pair, offloads on; or loopback, and why."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from btresearch.lab.netns import INTERFACE, Host, NetnsError

Spawn = Callable[..., "subprocess.Popen[bytes]"]


@dataclass(frozen=True)
class Place:
    """One end: its address, and how to start a process there."""

    address: str
    spawn: Spawn


@dataclass(frozen=True)
class Cable:
    """Both ends; `network` is "veth" or "loopback", `remark` says why it is not veth."""

    network: str
    client: Place
    server: Place
    remark: str = ""


@contextmanager
def cable() -> Iterator[Cable]:
    """The two ends for the length of a `with` block; every kernel object goes with it."""
    with ExitStack() as stack:
        try:
            client, server = _hosts(stack)
        except NetnsError as error:
            place = Place("127.0.0.1", _spawn_here)
            yield Cable("loopback", place, place, str(error))
            return
        yield Cable("veth", Place(client.address, client.spawn), Place(server.address, server.spawn))


def _hosts(stack: ExitStack) -> tuple[Host, Host]:
    client = Host("10.78.0.1")
    stack.callback(client.close)
    server = Host("10.78.0.2", join=client)
    stack.callback(server.close)
    client.ip("link", f"link add {INTERFACE} type veth peer name {INTERFACE} netns {server.pid}")
    for host in (client, server):
        host.ip(
            "address",
            "link set lo up",
            f"address add {host.address}/24 dev {INTERFACE}",
            f"link set {INTERFACE} up",
        )
    return client, server


def _spawn_here(command: Sequence[str], **popen: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, **popen)
