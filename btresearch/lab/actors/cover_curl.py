"""Cover: the curl command; one process and one connection per flow."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import subprocess
from pathlib import Path

from btresearch.lab.actors import asyncmain, objects, report
from btresearch.lab.catalog import find_command
from btresearch.lab.netns import script

TASK = report.task() if __name__ == "__main__" else {}
CURL = find_command("curl") or "curl"


def _arguments(steps: asyncmain.Steps, folder: Path) -> list[str]:
    peer, host, root = TASK["peer"], TASK["site"]["host"], TASK["site"]["root"]
    arguments = [
        "--silent",
        "--show-error",
        "--fail",
        "--fail-early",
        "--http2",
        "--cacert",
        root,
        "--noproxy",
        "*",
    ]
    arguments += ["--resolve", f"{host}:{peer['port']}:{peer['address']}"]
    for number, step in enumerate(steps):
        arguments += [
            "-o",
            str(folder / str(number)),
            f"https://{host}:{peer['port']}/o/{step['down_bytes']}",
        ]
    return arguments


async def flow(steps: asyncmain.Steps) -> None:
    """Fetch the objects one after the other."""
    name = hashlib.sha256(repr(steps).encode()).hexdigest()[:16]
    folder = Path(TASK["folder"]) / name
    folder.mkdir(parents=True)
    command = script("here", str(os.getpid()), "--", CURL, *_arguments(steps, folder))
    process = await asyncio.create_subprocess_exec(*command)
    if await process.wait() != 0:
        raise SystemExit(f"curl ended with status {process.returncode}")
    for number, step in enumerate(steps):
        objects.check(step["down_bytes"], (folder / str(number)).read_bytes())


def _facts() -> dict[str, str]:
    said = subprocess.run([CURL, "--version"], capture_output=True, text=True, check=False).stdout
    library = re.search(r"\b((?:OpenSSL|GnuTLS|LibreSSL|wolfSSL|BoringSSL|NSS)\S*)", said)
    version = re.match(r"curl (\S+)", said)
    return {
        "version": version[1] if version else "unknown",
        "tls_library": library[1] if library else "unknown",
    }


if __name__ == "__main__":
    asyncmain.run_flows(TASK, flow, program="curl", **_facts())
