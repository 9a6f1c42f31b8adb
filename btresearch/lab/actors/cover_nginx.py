"""nginx as the web server: static objects, TLS 1.2 and 1.3, HTTP/2; flows are claimed from its access log."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from btresearch.lab.actors import objects, report
from btresearch.lab.catalog import find_command
from btresearch.lab.netns import script

# `user`: what root is in a user namespace may not give its files to another; nobody else is asked to heed it
CONFIG = """
user root root; daemon off; master_process off; worker_processes 1;
pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  log_format flow "$remote_addr $remote_port"; access_log {folder}/access.log flow;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  types {{ text/html html; }} default_type application/octet-stream; keepalive_timeout 20s;
  server {{
    listen {address}:{port} ssl http2;
    ssl_certificate {chain}; ssl_certificate_key {key}; ssl_protocols TLSv1.2 TLSv1.3;
    root {folder}/root;
  }}
}}
"""
PATIENCE_S = 5.0


def _prepare(folder: Path, task: dict[str, Any]) -> Path:
    """Write the objects, a page per flow that names its objects, and the configuration."""
    (folder / "root" / "o").mkdir(parents=True, exist_ok=True)
    for number, steps in enumerate(task["flows"]):
        for step in steps:
            (folder / "root" / "o" / str(step["down_bytes"])).write_bytes(objects.body(step["down_bytes"]))
        images = "".join(f'<img src="/o/{step["down_bytes"]}">' for step in steps)
        (folder / "root" / f"{number}.html").write_text(f"<!doctype html><title>{number}</title>{images}")
    site = task["site"]
    text = CONFIG.format(
        folder=folder, address=task["address"], port=task["port"], chain=site["chain"], key=site["key"]
    )
    (folder / "nginx.conf").write_text(text, encoding="utf-8")
    return folder / "nginx.conf"


def _version(nginx: str) -> str:
    said = subprocess.run([nginx, "-v"], capture_output=True, text=True, check=False).stderr
    found = re.search(r"nginx/(\S+)", said)
    return found[1] if found else "unknown"


def _claim(folder: Path) -> None:
    log = folder / "access.log"
    lines = log.read_text().split("\n") if log.exists() else []
    for source in dict.fromkeys(filter(None, lines)):
        address, port = source.split()
        report.flow("tcp", (address, int(port)))


def main() -> None:
    """Run nginx until stdin ends."""
    task = report.task()
    folder = Path(task["folder"])
    nginx = find_command("nginx") or "nginx"
    command = [nginx, "-e", str(folder / "error.log"), "-p", str(folder), "-c", str(_prepare(folder, task))]
    server = subprocess.Popen(script("here", str(os.getpid()), "--", *command))
    deadline = time.monotonic() + PATIENCE_S
    while not (folder / "nginx.pid").exists():
        if server.poll() is not None or time.monotonic() > deadline:
            sys.exit(f"nginx did not start: {(folder / 'error.log').read_text()[-500:]}")
        time.sleep(0.01)
    report.ready(program="nginx", version=_version(nginx))
    sys.stdin.read()
    server.terminate()
    server.wait()
    _claim(folder)
    report.say("done")


if __name__ == "__main__":
    main()
