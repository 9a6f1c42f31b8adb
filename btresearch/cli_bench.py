"""The benchmark commands."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

app = typer.Typer(
    help="Benchmarks beside other programs, ratios in the same run; all of them without a name."
)

JsonOption = Annotated[bool, typer.Option("--json", help="JSON objects on standard output, one a line.")]


@app.callback(invoke_without_command=True)
def group(context: typer.Context, as_json: JsonOption = False) -> None:
    """Benchmarks beside other programs, ratios in the same run; all of them without a name."""
    if context.invoked_subcommand is None:
        transfer(size_mib=1024, repeat=3, transport=None, as_json=as_json)
        lookup(torrents=100_000, repeat=200, as_json=as_json)
        refusal(visits=300, as_json=as_json)
        crowd(connections=200, hostile=0.1, as_json=as_json)
        handshake(connections=100, visits=5, as_json=as_json)


@app.command()
def transfer(
    size_mib: Annotated[int, typer.Option(min=1, help="Size of the torrent in MiB.")] = 1024,
    repeat: Annotated[int, typer.Option(min=1, help="Rounds that count; the median is shown.")] = 3,
    transport: Annotated[
        list[str] | None, typer.Option(help="Only this transport, of both peers; repeatable.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Time the own peer beside libtorrent over a veth pair (as root or with user namespaces; else loopback).

    Example: btresearch bench transfer --size-mib 256 --repeat 1 --json
    """
    from btresearch.bench import transfer as bench

    cases = [case for case in bench.CASES if transport is None or case[1] in transport]
    report = bench.run(size_bytes=size_mib << 20, repeat=repeat, cases=cases, progress=_say)
    _show(report.results, as_json)
    _show(report.ratios, as_json)


@app.command()
def lookup(
    torrents: Annotated[int, typer.Option(min=1, help="How many a port serves.")] = 100_000,
    repeat: Annotated[int, typer.Option(min=1, help="Lookups of each kind.")] = 200,
    as_json: JsonOption = False,
) -> None:
    """Time the search for one torrent among many on one core, and how late the event loop gets meanwhile.

    Example: btresearch bench lookup --torrents 100000
    """
    from btresearch.bench import lookup as bench

    _show([bench.run(torrents=torrents, repeat=repeat)], as_json)


@app.command()
def refusal(
    visits: Annotated[int, typer.Option(min=2, help="Visits to each host.")] = 300,
    as_json: JsonOption = False,
) -> None:
    """Time how soon a stranger is refused by ports with 1, 1,000 and 100,000 torrents, and by nginx.

    Example: btresearch bench refusal --visits 100
    """
    from btresearch.bench import refusal as bench

    _show(bench.run(visits=visits, progress=_say), as_json)


@app.command()
def crowd(
    connections: Annotated[int, typer.Option(min=1, max=240, help="All of them at once.")] = 200,
    hostile: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of hostile ones.")] = 0.1,
    as_json: JsonOption = False,
) -> None:
    """Let many connections come at once, some hostile: slow, garbage, wrong proofs, half handshakes, resets.

    Example: btresearch bench crowd --connections 100
    """
    from btresearch.bench import crowd as bench

    _show([bench.run(connections=connections, hostile_share=hostile)], as_json)


@app.command()
def handshake(
    connections: Annotated[int, typer.Option(min=1, help="Connections whose CPU time is measured.")] = 100,
    visits: Annotated[int, typer.Option(min=1, help="Connections over the long way.")] = 5,
    as_json: JsonOption = False,
) -> None:
    """Count CPU time and, at 100 ms, round trips until the handshake and the first block, at every level.

    Example: btresearch bench handshake --connections 50
    """
    from btresearch.bench import handshake as bench

    _show(bench.run(connections=connections, visits=visits), as_json)


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _show(rows: Iterable[DataclassInstance], as_json: bool) -> None:
    """A table, or one object a line."""
    rows = list(rows)
    if as_json:
        for row in rows:
            typer.echo(json.dumps(asdict(row)))
        return
    if not rows:
        return
    from rich.console import Console
    from rich.table import Table

    grid = Table(*(field.name.replace("_", " ") for field in fields(rows[0])))
    for row in rows:
        grid.add_row(*map(_word, asdict(row).values()))
    Console().print(grid)


def _word(value: Any) -> str:
    words: Mapping[Any, str] = {True: "yes", False: "no", None: "-"}
    return words[value] if value is None or isinstance(value, bool) else str(value)
