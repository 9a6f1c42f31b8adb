"""Small torrents, and both ends of a transfer in one loop."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from btresearch.peer import Torrent
from btresearch.session import GetResult, Progress, SeedResult, get, seed
from btresearch.session.torrent_file import create

HOST = "127.0.0.1"
PATIENCE_S = 30.0


@dataclass(frozen=True)
class Content:
    torrent: Torrent
    folder: Path  # holds torrent.name

    def same_in(self, out: Path) -> bool:
        wanted = self.folder / self.torrent.name
        if wanted.is_file():
            return (out / self.torrent.name).read_bytes() == wanted.read_bytes()
        names = sorted(path.relative_to(wanted) for path in wanted.rglob("*") if path.is_file())
        found = sorted(p.relative_to(out / self.torrent.name) for p in out.rglob("*") if p.is_file())
        return names == found and all(
            (wanted / name).read_bytes() == (out / self.torrent.name / name).read_bytes() for name in names
        )


def single(folder: Path, size_bytes: int = 700_001, piece_bytes: int = 32768, **options: Any) -> Content:
    folder.mkdir(exist_ok=True)
    (folder / "content.bin").write_bytes(random.Random(size_bytes).randbytes(size_bytes))
    return Content(create(folder / "content.bin", piece_length_bytes=piece_bytes, **options), folder)


def several(folder: Path) -> Content:
    rng = random.Random(3)
    for name, size in {"a.bin": 50_000, "sub/b.bin": 100_001, "sub/empty": 0, "z.txt": 3}.items():
        path = folder / "album" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(rng.randbytes(size))
    return Content(create(folder / "album", piece_length_bytes=16384), folder)


@dataclass
class Seeding:
    port: int
    result: asyncio.Task[SeedResult]
    progress: list[Progress]


@contextlib.asynccontextmanager
async def seeding(content: Content, **options: Any) -> AsyncIterator[Seeding]:
    """A seed that serves until the block ends."""
    listening: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    stop, seen = asyncio.Event(), []

    def report(progress: Progress) -> None:
        seen.append(progress)
        if progress.port and not listening.done():
            listening.set_result(progress.port)

    task = asyncio.create_task(
        seed(content.torrent, content.folder, stop=stop, report=report, **({"host": HOST} | options))
    )
    await asyncio.wait([task, listening], return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
    try:
        yield Seeding(listening.result(), task, seen)
    finally:
        stop.set()
        await task


async def fetch(
    source: Any, out: Path, *ports: int, patience_s: float = PATIENCE_S, **options: Any
) -> GetResult:
    """`get` from peers on loopback."""
    peers = [*options.pop("peers", ()), *((HOST, port) for port in ports)]
    async with asyncio.timeout(patience_s):
        return await get(source, out, peers=peers, **({"host": HOST} | options))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
