"""One decoder as a fuzzer sees it: bytes in, a result or a declared error out, in bounded time."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

MAX_INPUT_BYTES = 20_000
"""Longer inputs are not tried; what is longer on the wire is refused by its length prefix, which is."""


@dataclass(frozen=True)
class Target:
    """`run` decodes one input; `errors` are those that its docstring declares; `seeds` makes inputs that it takes.

    `steady` is False where what `run` does depends on more than its input (a TLS library draws its own keys):
    then its seeds need not be taken.
    """

    run: Callable[[bytes], object]
    seeds: Callable[[], Sequence[bytes]]
    errors: tuple[type[Exception], ...] = ()
    steady: bool = True

    def attempt(self, data: bytes) -> bool:
        """Whether the decoder took it; whatever it does not declare comes out."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # cryptography warns of some of what it still parses
            try:
                self.run(data[:MAX_INPUT_BYTES])
            except self.errors:
                return False
        return True


@cache
def folder() -> Path:
    """Where decoders of files find their input; it goes when the process does."""
    held = TemporaryDirectory(prefix="fuzz")
    _KEPT.append(held)
    return Path(held.name)


def as_file(data: bytes, name: str) -> Path:
    """`data` in a file that only its owner may read."""
    path = folder() / name
    path.touch(0o600)
    path.write_bytes(data)
    return path


def as_text(data: bytes) -> str:
    """What the command line makes of these bytes."""
    return data.decode("utf-8", "surrogateescape")


_KEPT: list[TemporaryDirectory[str]] = []
