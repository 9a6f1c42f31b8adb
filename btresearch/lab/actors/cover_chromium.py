"""Cover: Chromium without a window, loading one page of the lab's own server per flow."""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile

from btresearch.lab.actors import asyncmain, report
from btresearch.lab.catalog import find_command
from btresearch.lab.netns import script

TASK = report.task() if __name__ == "__main__" else {}
CHROMIUM = find_command("chromium") or "chromium"
FLAGS = (  # no window, no sandbox (it needs rights that a namespace lacks), and no calls to anybody but the lab
    "--headless=new", "--no-sandbox", "--disable-gpu", "--ignore-certificate-errors", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-default-apps", "--disable-quic",
    "--disable-domain-reliability", "--no-first-run", "--no-default-browser-check", "--metrics-recording-only",
    "--virtual-time-budget=4000", "--dump-dom",
)  # fmt: skip
ONE_AT_A_TIME = asyncio.Semaphore(1)


async def flow(steps: asyncmain.Steps) -> None:
    """Load the page that nginx made for these steps, in a fresh profile."""
    peer, host, number = TASK["peer"], TASK["site"]["host"], TASK["flows"].index(steps)
    async with ONE_AT_A_TIME:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            resolve = f"--host-resolver-rules=MAP {host} {peer['address']}, MAP * ~NOTFOUND"
            address = f"https://{host}:{peer['port']}/{number}.html"
            command = [CHROMIUM, *FLAGS, resolve, f"--user-data-dir={profile}", address]
            process = await asyncio.create_subprocess_exec(
                *script("here", str(os.getpid()), "--", *command),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
            page, _ = await process.communicate()
    if f"<title>{number}</title>" not in page.decode(errors="replace"):
        raise SystemExit(f"chromium did not load page {number}")


if __name__ == "__main__":
    said = subprocess.run([CHROMIUM, "--version"], capture_output=True, text=True, check=False).stdout.split()
    version = next((word for word in said if word[:1].isdigit()), "unknown")
    asyncmain.run_flows(TASK, flow, program="chromium", version=version, tls_library="BoringSSL")
