"""Turn one `Traffic` of a scenario into two programs with their tasks."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from btresearch.lab import catalog, certificates, content, workload
from btresearch.lab.scenario import Traffic

TIMEOUT_S = 20.0
HTTPS_PORT = 443
HIGH_PORTS = (20_000, 60_000)
MAX_PARTS = 16  # of one capture; keeps their ports apart
ANY_PORT = ("tls", "btls_basic")
SITES = ("files", "www", "cdn", "media", "api", "sync", "mail", "static")

Task = dict[str, Any]


@dataclass(frozen=True)
class Part:
    """One traffic of a capture: programs, tasks, the server's port, and what must have arrived in the end.

    The tasks lack the addresses, which the stage knows.
    """

    traffic: Traffic
    client: catalog.Program
    server: catalog.Program
    client_task: Task
    server_task: Task
    port: int
    contents: tuple[content.Content, ...] = ()
    download: Path = Path()

    @property
    def udp(self) -> bool:
        """Whether it runs over UDP."""
        return self.traffic.transport in ("utp", "utp_mse")

    def missing_file(self) -> str:
        """Name of the first file that did not arrive whole; empty when all did."""
        return next((item.name for item in self.contents if not content.arrived(item, self.download)), "")


def missing(traffic: Traffic) -> str:
    """One line that says why this machine can't make the traffic; empty when it can."""
    if traffic.flow_class == "cover":
        return catalog.KINDS[traffic.kind].missing()
    for name in (traffic.client, traffic.server):
        if traffic.transport not in catalog.SUPPORTED[name]:
            return f"{name} does not speak {traffic.transport}"
    programs = (catalog.PEER_PROGRAMS[name] for name in (traffic.client, traffic.server))
    return "; ".join(dict.fromkeys(filter(None, (program.missing() for program in programs))))


def cast(traffic: Traffic, index: int, *, rng: random.Random, folder: Path) -> Part:
    """Draw content or workload from `rng`, write what the programs need below `folder`, and return the part."""
    folder.mkdir(parents=True)
    make: Callable[..., Part] = _cover if traffic.flow_class == "cover" else _bittorrent
    return make(traffic, index, rng=rng, folder=folder)


def _cover(traffic: Traffic, index: int, *, rng: random.Random, folder: Path) -> Part:
    kind = catalog.KINDS[traffic.kind]
    host = f"{rng.choice(SITES)}{rng.randrange(100)}.lab.test"
    task = {
        "behaviour": kind.behaviour,
        "browser": kind.browser,
        "seed": rng.getrandbits(32),
        "timeout_s": TIMEOUT_S,
        "site": certificates.site(folder / "site", host, rng),
        "flows": workload.draw(kind.behaviour, rng, flows=traffic.flows, size_bytes=traffic.size_bytes),
    }
    return Part(
        traffic,
        kind.client,
        kind.server,
        client_task={**task, "folder": str(_made(folder / "client"))},
        server_task={**task, "folder": str(_made(folder / "server"))},
        port=_port(traffic, index, rng),
    )


def _bittorrent(traffic: Traffic, index: int, *, rng: random.Random, folder: Path) -> Part:
    upload, download = _made(folder / "seed"), _made(folder / "leech")
    root = certificates.authority("torrent root") if traffic.transport == "ssl_torrent" else None
    contents = tuple(
        content.make(
            upload, number, rng=rng, size_bytes=traffic.size_bytes, ssl_root=root.pem if root else ""
        )
        for number in range(traffic.flows)
    )
    task = {
        "transport": traffic.transport,
        "shape": traffic.shape,
        "level": traffic.level,
        "timeout_s": TIMEOUT_S,
        "torrents": [
            {"torrent": str(item.torrent), "name": item.name, "infohash": item.infohash} for item in contents
        ],
    }
    leech, seed = (
        {"certificate": certificates.peer(folder / name, root)} if root else {} for name in ("a", "b")
    )
    return Part(
        traffic,
        catalog.PEER_PROGRAMS[traffic.client],
        catalog.PEER_PROGRAMS[traffic.server],
        client_task={**task, **leech, "role": "leech", "folder": str(download)},
        server_task={**task, **seed, "role": "seed", "folder": str(upload)},
        port=_port(traffic, index, rng),
        contents=contents,
        download=download,
    )


def _port(traffic: Traffic, index: int, rng: random.Random) -> int:
    """The server's port. TLS is on 443 half the time, btls as cover: the port must not be the class."""
    high = rng.randrange(*HIGH_PORTS, MAX_PARTS) + index % MAX_PARTS
    return HTTPS_PORT if index == 0 and traffic.transport in ANY_PORT and rng.random() < 0.5 else high


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder
