"""The peer core has no sockets, no clock, no entropy, no threads and no file system calls of its own."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import btresearch.peer

FORBIDDEN = {"socket", "asyncio", "time", "random", "secrets", "os", "threading", "datetime", "ssl"}
MODULES = sorted(Path(btresearch.peer.__file__).parent.glob("*.py"))


def imported(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text())))
    plain = {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    return plain | {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}


def test_there_is_something_to_check() -> None:
    assert len(MODULES) > 15


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_imports(path: Path) -> None:
    names = imported(path)
    assert not {name.split(".")[0] for name in names} & FORBIDDEN
    assert all(
        name.startswith(("btresearch.peer", "btresearch.errors")) for name in names if "btresearch" in name
    )
