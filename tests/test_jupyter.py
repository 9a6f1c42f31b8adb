"""`make jupyter` starts JupyterLab, and the project's kernel is there."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(url: str, deadline_s: float) -> dict[str, object]:
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return dict(json.load(answer))
        except (urllib.error.URLError, ConnectionError):
            assert time.monotonic() < deadline_s, "JupyterLab did not come up"
            time.sleep(0.5)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("make") is None, reason="make is not here: install make")
@pytest.mark.skipif(not (ROOT / ".venv" / ".installed").exists(), reason="no .venv made by `make setup` here")
def test_make_jupyter_offers_the_projects_kernel() -> None:
    port = free_port()
    root = "--allow-root " if os.geteuid() == 0 else ""
    flags = f"{root}--no-browser --ip=127.0.0.1 --port={port} --ServerApp.port_retries=0 --IdentityProvider.token=t"
    lab = subprocess.Popen(
        ["make", "jupyter", f"JUPYTER_FLAGS={flags}"],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        found = ask(f"http://127.0.0.1:{port}/api/kernelspecs?token=t", time.monotonic() + 60)
        page = urllib.request.urlopen(f"http://127.0.0.1:{port}/lab?token=t", timeout=10).read()
    finally:
        os.killpg(lab.pid, signal.SIGTERM)
        lab.wait(timeout=20)
    assert "btresearch" in dict(found["kernelspecs"])  # type: ignore[call-overload]
    assert b"JupyterLab" in page
