"""An endpoint that serves small torrents, for benches that visit it: in this process, or as one of its own.

`python -m btresearch.bench.host TASK` (JSON): says its port, serves until standard input ends, says what it used.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE, Popen
from types import TracebackType
from typing import Any, Self

from btresearch.bench.party import Party
from btresearch.bench.usage import cpu_s, peak_rss_mb, say
from btresearch.peer import Torrent
from btresearch.peer.layout import Layout
from btresearch.peer.pieces import PieceSet
from btresearch.session.disk import Disk
from btresearch.session.loop import run
from btresearch.session.membership import Membership
from btresearch.session.node import Node
from btresearch.session.policy import Policy
from btresearch.session.storage import Storage
from btresearch.session.torrent_file import create
from btresearch.transport.btls import TorrentKey

PIECE_BYTES = 16384
PIECES = 64
ANSWER_LIMIT_S = 60.0


@dataclass(frozen=True)
class Stock:
    """One small torrent and what its members hold."""

    torrent: Torrent
    folder: Path
    party: Party

    @classmethod
    def make(cls, folder: Path, name: str = "content.bin") -> Stock:
        """Write a megabyte and hash it."""
        (folder / name).write_bytes(os.urandom(PIECES * PIECE_BYTES))
        torrent = create(folder / name, piece_length_bytes=PIECE_BYTES)
        return cls(torrent, folder, Party(torrent.infohash))

    @property
    def infohash(self) -> bytes:
        """As in a handshake."""
        return self.torrent.infohash

    @property
    def layout(self) -> Layout:
        """Of its pieces."""
        return self.torrent.layout

    def membership(self, transport: str) -> Membership:
        """What the serving end holds at the level that `transport` names."""
        level = transport.removeprefix("btls_")
        if level == "strict":
            return Membership((TorrentKey.derive(self.infohash, "strict", self.party.secret),))
        if level == "full":
            own = self.party.members[1]
            key = TorrentKey.derive(self.infohash, "full", self.party.secret)
            return Membership((key,), member=lambda: own)
        return Membership((TorrentKey.basic(self.infohash),))


class Host:
    """An async context manager: serves the torrents over one transport; `others` more are known and never asked for."""

    def __init__(self, *stocks: Stock, transport: str, address: str = "127.0.0.1", others: int = 0) -> None:
        self._stocks, self._transport, self._others = stocks, transport, others
        self._node = Node(host=address, policy=Policy((transport,)), keep_identity=False)
        self._stack = AsyncExitStack()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._node.port

    async def __aenter__(self) -> Self:
        node = await self._stack.enter_async_context(self._node)
        for stock in self._stocks:
            swarm = node.join(stock.membership(self._transport), stock.torrent)
            storage = Storage.find(stock.torrent, stock.folder)
            self._stack.callback(storage.close)
            disk = self._stack.enter_context(Disk(storage, on_error=swarm.fail))
            swarm.open(stock.torrent, disk, PieceSet.full(stock.torrent.piece_count))
        for _ in range(self._others):
            node.wires.serve(Membership((TorrentKey.basic(os.urandom(20)),)), node.policy)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()


@dataclass(frozen=True)
class HostProcess:
    """A host in a process of its own."""

    port: int
    _process: Popen[bytes]

    def finish(self) -> dict[str, float]:
        """End it: `cpu_s` and `peak_rss_mb`."""
        assert self._process.stdout is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        answer: dict[str, float] = json.loads(self._process.stdout.readline())
        return answer


@contextmanager
def host_process(transport: str, *, folders: list[Path], others: int = 0) -> Iterator[HostProcess]:
    """Serve the torrents `folders` hold (as `Stock.make` wrote them), from another process."""
    task = {"transport": transport, "others": others, "folders": [str(folder) for folder in folders]}
    process = Popen(  # this interpreter, our own module
        [sys.executable, "-m", "btresearch.bench.host", json.dumps(task)], stdin=PIPE, stdout=PIPE
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        yield HostProcess(json.loads(line)["port"] if line else 0, process)
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdout, process.stdin):
            if pipe is not None:
                pipe.close()


async def _serve(task: dict[str, Any]) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin, stop.set)
    with tempfile.TemporaryDirectory() as empty:
        folders = [Path(folder) for folder in task["folders"]] or [Path(empty)]
        stocks = [_found(folder) for folder in folders]
        async with Host(*stocks, transport=task["transport"], others=task["others"]) as host:
            began_s = cpu_s()
            say(port=host.port)
            await stop.wait()
            say(cpu_s=cpu_s() - began_s, peak_rss_mb=peak_rss_mb())


def _found(folder: Path) -> Stock:
    if not (folder / "content.bin").exists():
        return Stock.make(folder)
    torrent = create(folder / "content.bin", piece_length_bytes=PIECE_BYTES)
    return Stock(torrent, folder, Party(torrent.infohash))


if __name__ == "__main__":
    run(_serve(json.loads(sys.argv[1])))
