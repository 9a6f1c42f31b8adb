"""What a transfer prints: a bar on a terminal, a line or a JSON object elsewhere."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from btresearch.session import Progress


def say(fields: dict[str, object]) -> None:
    """One JSON object as a line, at once."""
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


@contextmanager
def transfer_bar(as_json: bool) -> Iterator[Callable[[Progress], None]]:
    """A bar on a terminal; the port on standard output as soon as it is known."""
    announced = False
    with bar("", unit="pieces") as update:

        def report(progress: Progress) -> None:
            nonlocal announced
            if progress.port and not announced:
                announced = True
                if as_json:
                    say({"event": "listening", "port": progress.port})
                else:
                    sys.stdout.write(f"listening on port {progress.port}\n")
                    sys.stdout.flush()
            update(progress.pieces, progress.piece_count, _status(progress))

        yield report


def _status(progress: Progress) -> str:
    if progress.phase in ("checking", "metadata"):
        return f"{progress.phase}, {progress.peers} peers"
    down, up = progress.down_bytes_per_s / 1e6, progress.up_bytes_per_s / 1e6
    return f"{progress.phase}, {progress.peers} peers, down {down:.1f} MB/s, up {up:.1f} MB/s"


@contextmanager
def bar(title: str, *, unit: str) -> Iterator[Callable[[int, int, str], None]]:
    """`update(done, total, status)` on a terminal's standard error; silent elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda done, total, status: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as shown:
        task = shown.add_task(title or unit, total=None)

        def update(done: int, total: int, status: str) -> None:
            shown.update(task, completed=done, total=total or None, description=status or title)

        yield update
