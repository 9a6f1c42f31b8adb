"""One end of a transfer by the own peer, as a process: `python -m btresearch.bench.own_end TASK` (JSON)."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from btresearch.bench.usage import cpu_s, peak_rss_mb, say
from btresearch.peer import Torrent
from btresearch.session import Progress, get, seed
from btresearch.session.loop import run
from btresearch.session.membership import Access, Holder, Membership, Standing
from btresearch.session.ssl_port import load_certificate
from btresearch.transport.btls import Credential, Member


def _holdings(task: dict[str, Any]) -> dict[str, Any]:
    """What the torrent's level asks for beside its file."""
    held: dict[str, Any] = {}
    if certificate := task.get("certificate"):
        held["ssl_certificate"] = load_certificate(Path(certificate["chain"]), Path(certificate["key"]))
    if files := task.get("member"):
        credential = Credential.load(Path(files["chain"]).read_bytes(), Path(files["key"]).read_bytes())
        standing = Standing(Member(credential, frozenset({bytes.fromhex(files["ca"])})))

        @asynccontextmanager
        async def enrol(_: Membership) -> AsyncIterator[Holder]:
            yield standing

        held["access"] = Access(enrol=enrol)
    return held


async def serve(task: dict[str, Any]) -> None:
    """Seed until standard input ends."""
    torrent = Torrent.load(task["torrent"].encode("latin-1"))
    stop = asyncio.Event()
    told = False

    def report(progress: Progress) -> None:
        nonlocal told
        if progress.port and not told:
            told = True
            say(event="ready", port=progress.port)

    asyncio.get_running_loop().add_reader(sys.stdin, stop.set)
    began = cpu_s()
    await seed(
        torrent,
        task["folder"],
        host=task["host"],
        port=task["port"],
        transports=[task["transport"]],
        verify=False,
        stop=stop,
        report=report,
        keep_identity=False,
        **_holdings(task),
    )
    say(event="done", cpu_s=cpu_s() - began, peak_rss_mb=peak_rss_mb())


async def fetch(task: dict[str, Any]) -> None:
    """Download from the one peer of the task."""
    torrent = Torrent.load(task["torrent"].encode("latin-1"))
    began = cpu_s()
    result = await get(
        torrent,
        task["folder"],
        host=task["host"],
        peers=[tuple(task["peer"])],
        transports=[task["transport"]],
        keep_identity=False,
        **_holdings(task),
    )
    say(
        event="done",
        seconds=result.transfer_s,
        cpu_s=cpu_s() - began,
        used_s=cpu_s(),
        peak_rss_mb=peak_rss_mb(),
    )


def main() -> None:
    """Do the task on the command line."""
    task = json.loads(sys.argv[1])
    run({"seed": serve, "leech": fetch}[task["role"]](task))


if __name__ == "__main__":
    main()
