"""The command that visits a port as a stranger does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from btresearch.peer.address import Address
    from btresearch.probe import Comparison, Report

app = typer.Typer()


@app.command()
def probe(
    host: Annotated[str, typer.Argument(metavar="HOST:PORT", help="The port to probe; a host of your own.")],
    *,
    against: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="A second port; the differences are reported.")
    ] = "",
    infohash: Annotated[
        str, typer.Option(metavar="HEX", help="Ask too whether the host takes part in this torrent.")
    ] = "",
    quick: Annotated[bool, typer.Option("--quick", help="Leave out what waits for timeouts.")] = False,
    mine: Annotated[
        bool, typer.Option("--mine", help="The host is yours, though its address is public.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder that gets report.json and report.txt.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The report as JSON on standard output.")] = False,
) -> None:
    """Show what a stranger sees of a port, and what tells it apart from another one.

    Example: btresearch probe 127.0.0.1:6881 --against 127.0.0.1:443 --quick
    """
    import asyncio

    found = asyncio.run(_visit(host, against, infohash, quick=quick, mine=mine))
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "report.json").write_text(found.json())
        (out / "report.txt").write_text(found.text())
    typer.echo(found.json() if as_json else found.text())


async def _visit(host: str, against: str, infohash: str, *, quick: bool, mine: bool) -> Report | Comparison:
    import asyncio

    from btresearch.probe import QUICK, SUITE, compare, run
    from btresearch.probe.membership import asking

    probes = (QUICK if quick else SUITE) + ((asking(infohash),) if infohash else ())
    addresses = [await _address(text, mine=mine) for text in (host, against) if text]
    reports = await asyncio.gather(
        *(run(one, probes, progress=lambda line: typer.echo(line, err=True)) for one in addresses)
    )
    return compare(*reports) if against else reports[0]


async def _address(text: str, *, mine: bool) -> Address:
    from btresearch.errors import InputError
    from btresearch.peer.address import Address
    from btresearch.probe import own

    try:
        wanted = Address.parse(text)
    except ValueError as error:
        raise InputError("probe", f"HOST:PORT ({error})") from error
    return await own(*wanted, mine=mine)
