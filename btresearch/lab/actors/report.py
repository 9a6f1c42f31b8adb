"""The line protocol between an actor and the runner."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def task() -> dict[str, Any]:
    """Read the task file named by the first command-line argument."""
    loaded: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    return loaded


def say(event: str, **fields: object) -> None:
    """Tell the runner one thing."""
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()


def ready(**fields: object) -> None:
    """Server: listening. Client: everything is loaded, waiting for `go`."""
    say("ready", **fields)


def flow(proto: str, source: tuple[str, int], **fields: object) -> None:
    """Claim one flow: `source` is the initiator's address as the responder's socket saw it."""
    say("flow", proto=proto, src=source[0], sport=source[1], **fields)


def go() -> None:
    """Client: wait for the runner's word. Exit quietly when the runner goes away instead."""
    if not sys.stdin.readline():
        sys.exit(1)
