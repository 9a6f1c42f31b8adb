"""The errors that a user may see; the command line prints their one line and nothing else."""

from __future__ import annotations

from os import PathLike

MAX_SHOWN_CHARS = 1000


def printable(text: str, limit: int = MAX_SHOWN_CHARS) -> str:
    """What a stranger wrote, for a terminal: bounded, and escaped where it could steer the terminal."""
    shown = text if len(text) <= limit else text[: limit - 3] + "..."
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown)


class BtresearchError(Exception):
    """Base of every error whose message is meant for a person."""


class InputError(BtresearchError):
    """Input that can't be used: which file, at which byte, and what was expected there."""

    def __init__(self, source: str | PathLike[str], expected: str, *, offset: int | None = None) -> None:
        self.source, self.expected, self.offset = str(source), expected, offset
        where = f"{source}" if offset is None else f"{source}: byte {offset}"
        super().__init__(f"{where}: expected {expected}")


class MissingTool(BtresearchError):
    """Something that this machine lacks; the message names the package that brings it."""

    def __init__(self, what: str, package: str) -> None:
        self.what, self.package = what, package
        super().__init__(f"{what} is not here: install {package}")
