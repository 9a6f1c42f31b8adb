"""The benchmark commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from btresearch.bench.transfer import Result

app = typer.Typer(
    help="Benchmarks beside other programs, ratios in the same run; all of them without a name."
)


@app.callback(invoke_without_command=True)
def group(context: typer.Context) -> None:
    """Benchmarks beside other programs, ratios in the same run; all of them without a name."""
    if context.invoked_subcommand is None:
        transfer(size_mib=1024, repeat=3, as_json=False)


@app.command()
def transfer(
    size_mib: Annotated[int, typer.Option(min=1, help="Size of the torrent in MiB.")] = 1024,
    repeat: Annotated[int, typer.Option(min=1, help="Transfers of each kind; the median counts.")] = 3,
    as_json: Annotated[
        bool, typer.Option("--json", help="JSON objects on standard output, one a line.")
    ] = False,
) -> None:
    """Time the own peer beside libtorrent over a veth pair (as root or with user namespaces; else loopback).

    Example: btresearch bench transfer --size-mib 256 --repeat 1 --json
    """
    from btresearch.bench import transfer as bench

    results = bench.run(
        size_bytes=size_mib << 20, repeat=repeat, progress=lambda line: typer.echo(line, err=True)
    )
    if as_json:
        for line in bench.as_json(results):
            typer.echo(line)
        return
    _print_results(results)


def _print_results(results: list[Result]) -> None:
    from rich.console import Console
    from rich.table import Table

    from btresearch.bench.transfer import ratios

    grid = Table("peer", "transport", "MB/s", "CPU s/GB", "peak MB", "n", title=f"over {results[0].network}")
    for one in results:
        grid.add_row(
            one.peer,
            one.transport,
            f"{one.mb_per_s:.1f}",
            f"{one.cpu_s_per_gb:.2f}",
            f"{one.peak_rss_mb:.0f}",
            str(one.n),
        )
    console = Console()
    console.print(grid)
    for ratio in ratios(results):
        console.print(
            f"{ratio.ratio}: {ratio.value:.2f} (target {ratio.target}, {'met' if ratio.met else 'missed'})"
        )
