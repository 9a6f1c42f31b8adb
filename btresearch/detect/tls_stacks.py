"""The table of TLS client stacks: what each one's ClientHello looks like, and how common it is."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

TABLE = Path(__file__).with_name("tls_stacks.toml")
Kind = Literal["browser", "family", "library", "bittorrent"]


@dataclass(frozen=True)
class Stack:
    """A TLS client stack; `common` from 1 (a browser: crowds share it) to 0 (a few programs do).

    `hello_bytes` are the least and the most recorded, server name left out; (0, 0) where only published hashes are
    known. `shared` counts the recorded stacks that have this JA4: how large the crowd is, as far as we know it.
    """

    name: str
    kind: Kind
    common: float
    source: str
    hellos: int = 0
    hello_bytes: tuple[int, int] = (0, 0)
    npf: frozenset[str] = frozenset()
    shared: int = field(default=1, compare=False)


UNKNOWN = Stack("a stack that is not in the table", "library", 0.4, "no entry")


@dataclass(frozen=True)
class Stacks:
    """The table by JA4's second and third part, by JA3, and families by JA4's second part alone.

    Where stacks share a JA4 the most common one stands for all: a hello is as innocent as its best excuse.
    """

    by_ja4: dict[str, tuple[Stack, ...]]
    by_ja3: dict[str, Stack]
    families: dict[str, Stack]

    def find(self, ja4: str, ja3: str) -> Stack:
        """The stack by JA4's b and c, else by JA3, else the family by b, else UNKNOWN."""
        _, _, shape = ja4.partition("_")
        exact = self.by_ja4.get(shape)
        if exact:
            return exact[0]
        return self.by_ja3.get(ja3) or self.families.get(shape.partition("_")[0], UNKNOWN)

    def named(self, ja4: str, npf_hash: str) -> list[str]:
        """Every stack with this JA4, those first whose NPF string is the hello's too."""
        exact = self.by_ja4.get(ja4.partition("_")[2], ())
        return [s.name for s in sorted(exact, key=lambda s: npf_hash not in s.npf)]


@cache
def stacks(path: Path = TABLE) -> Stacks:
    """Read the table."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    by_ja4: dict[str, list[Stack]] = {}
    by_ja3: dict[str, Stack] = {}
    for facts in table["stacks"].values():
        stack = _stack(facts)
        for shape in facts["ja4_bc"]:
            by_ja4.setdefault(shape, []).append(stack)
        if not facts["ja4_bc"]:
            by_ja3 |= dict.fromkeys(facts["ja3"], stack)
    ranked = {shape: _ranked(found) for shape, found in by_ja4.items()}
    return Stacks(ranked, by_ja3, {f["ja4_b"]: _family(f) for f in table["families"].values()})


def _stack(facts: dict[str, Any]) -> Stack:
    low, high = facts.get("hello_bytes", (0, 0))
    known = {name: facts[name] for name in ("name", "kind", "common", "source", "hellos")}
    return Stack(**known, hello_bytes=(low, high), npf=frozenset(facts["npf"]))


def _ranked(found: list[Stack]) -> tuple[Stack, ...]:
    """The most common first; then those whose hellos were recorded."""
    crowd = max(1, sum(stack.hellos > 0 for stack in found))
    return tuple(
        replace(stack, shared=crowd) for stack in sorted(found, key=lambda s: (-s.common, -s.hellos))
    )


def _family(facts: dict[str, Any]) -> Stack:
    return Stack(facts["name"], "family", facts["common"], facts["source"])
