"""One actor: a child process with a task, the events it reports, and its log."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from btresearch.lab.errors import LabError

TAIL_BYTES = 600
STOP_S = 5.0

Spawn = Callable[..., "subprocess.Popen[bytes]"]
"""Starts a command on one host of a stage; takes what `subprocess.Popen` takes."""


class Actor:
    """Runs `python -m module TASKFILE` on a host. Use `wait_ready`, `go`, `wait_done` or `stop`, then `close`."""

    def __init__(self, name: str, module: str, task: dict[str, Any], *, spawn: Spawn, folder: Path) -> None:
        self.name = name
        self.facts: dict[str, str] = {}
        self.flows: list[dict[str, Any]] = []
        self._done = False
        self._log_path = folder / f"{name}.log"
        task_path = folder / f"{name}.json"
        task_path.write_text(json.dumps(task), encoding="utf-8")
        with self._log_path.open("wb") as log:
            self._process = spawn(
                self._command(module, task_path),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=folder,
            )
        self._events: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @staticmethod
    def _command(module: str, task_path: Path) -> Sequence[str]:
        return [sys.executable, "-m", module, str(task_path)]

    def wait_ready(self, timeout_s: float) -> None:
        """Wait until it listens (server) or has loaded (client). Raises LabError."""
        deadline = time.monotonic() + timeout_s
        while not self.facts:
            self._take(deadline, "to get ready")

    def go(self) -> None:
        """Let a client begin."""
        stdin = self._process.stdin
        assert stdin is not None
        try:
            stdin.write(b"go\n")
            stdin.flush()
        except BrokenPipeError:
            raise self._failure("ended before it began") from None

    def wait_done(self, timeout_s: float) -> None:
        """Wait for its own good end. Raises LabError."""
        deadline = time.monotonic() + timeout_s
        while not self._done:
            self._take(deadline, "to finish")

    def stop(self) -> None:
        """Tell a server to end, and take the last flows that it reports. Raises LabError."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self.wait_done(STOP_S)

    def close(self) -> None:
        """End the process, whatever it is doing."""
        if self._process.poll() is None:
            try:
                self._process.wait(timeout=0.2 if self._done else 0)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                _close_quietly(stream)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                self._events.put(json.loads(line))
            except json.JSONDecodeError:
                continue  # a library that writes to stdout; the log has no place for it
        self._events.put(None)

    def _take(self, deadline: float, purpose: str) -> None:
        try:
            event = self._events.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise self._failure(f"took too long {purpose}") from None
        if event is None:
            self._events.put(None)
            raise self._failure(f"ended with status {self._process.wait()} instead of going on {purpose}")
        kind = event.pop("event")
        if kind == "ready":
            self.facts = {"ready": "yes", **{name: str(value) for name, value in event.items()}}
        elif kind == "flow":
            self.flows.append(event)
        elif kind == "done":
            self._done = True

    def _failure(self, what: str) -> LabError:
        return LabError(f"{self.name} {what}; its log ends: {self.log_tail()}")

    def log_tail(self) -> str:
        """The end of what it wrote to stderr, on one line."""
        log = self._log_path.read_bytes()[-TAIL_BYTES:]
        return " | ".join(log.decode(errors="replace").split("\n")).strip(" |") or "(empty)"


def _close_quietly(stream: Any) -> None:
    try:
        stream.close()
    except BrokenPipeError:
        return  # the process is gone, and with it who would have read the rest
