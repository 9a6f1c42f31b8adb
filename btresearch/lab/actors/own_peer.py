"""The project's own peer: one node that seeds every torrent of the task, or one leech per torrent."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from btresearch import __version__
from btresearch.lab.actors import report
from btresearch.peer.pieces import PieceSet
from btresearch.peer.torrent import Torrent
from btresearch.session import get
from btresearch.session.disk import Disk
from btresearch.session.keylog import MemoryKeyLog
from btresearch.session.loop import run
from btresearch.session.membership import Membership
from btresearch.session.node import Node
from btresearch.session.policy import Policy
from btresearch.session.remote import Remote
from btresearch.session.storage import Storage
from btresearch.session.swarm import Swarm
from btresearch.transport.btls import best_client
from btresearch.transport.btls.client_openssl import OpenSslClient

Task = dict[str, Any]


class ClaimingSwarm(Swarm):
    """A swarm that reports each connection when both handshakes have passed."""

    def established(self, remote: Remote) -> None:
        """Claim the flow."""
        super().established(remote)
        report.flow("tcp", (remote.address.host, remote.address.port), torrent=self.infohash.hex())


class ClaimingNode(Node):
    """A node whose swarms claim their flows."""

    swarm_type = ClaimingSwarm


def facts(task: Task) -> dict[str, str]:
    """Who this is; the TLS library is that of the btls initiator."""
    library = ""
    if task["transport"].startswith("btls"):
        client = best_client(MemoryKeyLog())
        library = "pyOpenSSL" if isinstance(client, OpenSslClient) else "utls (BoringSSL)"
    return {"program": "btresearch", "version": __version__, "tls_library": library}


def shape(task: Task) -> str:
    """The shape of TLS records; other transports have none, and the peer's default does nothing there."""
    return task["shape"] or "rechunk"


async def seed(task: Task) -> None:
    """Serve every torrent until stdin ends."""
    policy = Policy((task["transport"],), shape(task))
    # A kept certificate would mark the captures of one machine.
    async with AsyncExitStack() as stack:
        node = await stack.enter_async_context(
            ClaimingNode(host=task["address"], port=task["port"], policy=policy, keep_identity=False)
        )
        for item in task["torrents"]:
            torrent = Torrent.load(Path(item["torrent"]))
            storage = Storage.find(torrent, Path(task["folder"]))
            stack.callback(storage.close)
            swarm = node.join(Membership.of(torrent), torrent)
            disk = stack.enter_context(Disk(storage, on_error=swarm.fail))
            swarm.open(torrent, disk, PieceSet.full(torrent.piece_count))
        report.ready(**facts(task))
        await asyncio.to_thread(sys.stdin.read)


async def leech(task: Task) -> None:
    """Fetch every torrent, each over a connection of its own."""
    torrents = [Torrent.load(Path(item["torrent"])) for item in task["torrents"]]
    report.ready(**facts(task))
    report.go()
    peer = (task["peer"]["address"], task["peer"]["port"])
    downloads = [
        get(
            torrent,
            Path(task["folder"]),
            host=task["address"],
            transports=(task["transport"],),
            shape=shape(task),
            peers=[peer],
            keep_identity=False,
        )
        for torrent in torrents
    ]
    await asyncio.wait_for(asyncio.gather(*downloads), task["timeout_s"])


def main() -> None:
    """Do the task."""
    task = report.task()
    run({"seed": seed, "leech": leech}[task["role"]](task))
    report.say("done")


if __name__ == "__main__":
    main()
