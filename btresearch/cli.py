"""The command line: every command is a call that a notebook can make too."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from btresearch import __version__, cli_bench, cli_member, cli_paper, cli_probe, cli_torrent, cli_transfer
from btresearch.errors import BtresearchError

if TYPE_CHECKING:
    import pandas as pd

app = typer.Typer(
    name="btresearch",
    help="BitTorrent over TLS 1.3: a peer, labelled captures, replayed DPI, and the evidence.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


app.add_typer(cli_torrent.app, name="torrent")
app.add_typer(cli_transfer.app)
app.add_typer(cli_probe.app)
app.add_typer(cli_bench.app, name="bench")
app.add_typer(cli_member.app, name="member")
app.add_typer(cli_paper.app, name="paper")

INTERRUPTED = 128 + signal.SIGINT
ROWS_ON_SCREEN = 40  # more verdicts than this are summed up


def _version(value: bool) -> None:
    if value:
        typer.echo(f"btresearch {__version__}")
        raise typer.Exit


@app.callback()
def options(
    verbose: Annotated[
        int, typer.Option("-v", "--verbose", count=True, help="More log lines; twice for debug.")
    ] = 0,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Set what every command shares."""
    level = {0: logging.WARNING, 1: logging.INFO}.get(verbose, logging.DEBUG)
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)


@app.command()
def capture(
    scenarios: Annotated[
        list[str],
        typer.Argument(metavar="SCENARIO...", help="Names, TOML files, or the sets quick and full."),
    ],
    out: Annotated[Path, typer.Option(help="Folder that gets a folder per capture.")],
    seed: Annotated[int, typer.Option(help="Decides contents, sizes, ports and order.")] = 0,
    repeat: Annotated[int, typer.Option(min=0, help="Captures per scenario; 0: what it says itself.")] = 0,
    jobs: Annotated[int, typer.Option(min=1, help="Captures made side by side.")] = 2,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and make nothing.")] = False,
    no_netns: Annotated[
        bool, typer.Option("--no-netns", help="Packetise from recorded sockets, no namespaces.")
    ] = False,
) -> None:
    """Make labelled captures from scenarios; finished ones are kept, so an interrupted run goes on.

    Example: btresearch capture lt_mse_rc4 cover_httpx_h2 --out out/captures --seed 1
    """
    from btresearch import lab

    plan = lab.draw_up(lab.resolve(scenarios), seed=seed, repeats=repeat or None)
    for name, reason in plan.skipped.items():
        typer.echo(f"{name} skipped: {reason}", err=True)
    if dry_run:
        for job in plan.jobs:
            typer.echo(f"{job.scenario.name}-{job.repeat:03d}")
        typer.echo(f"{len(plan.jobs)} captures, at least {plan.flows} flows", err=True)
        return
    kind, ability = lab.choose_kind("packetised" if no_netns else "auto")
    if not ability.ok:
        typer.echo(f"packetised: {ability}", err=True)
    with _progress() as say:
        report = lab.run(
            plan, out, seed=seed, jobs=jobs, kind=kind, progress=lambda *step: say(lab.describe(*step))
        )
    for outcome in report.failed:
        typer.echo(f"{outcome.session} failed: {outcome.error}", err=True)
    typer.echo(f"{len(report.outcomes) - len(report.failed)} captures ({report.kind}) in {out}")
    if report.failed:
        raise typer.Exit(1)


@app.command()
def flows(
    captures: Annotated[
        list[str], typer.Argument(metavar="PCAP|DIR...", help="Captures, capture folders or globs.")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="Parquet file that gets the flow table.")],
    packets: Annotated[int, typer.Option(min=0, help="Packets of each flow that the lists hold.")] = 100,
) -> None:
    """Turn captures into a flow table: one row a flow, the columns of docs/schema.md.

    Example: btresearch flows out/captures -o flows.parquet
    """
    from btresearch import flow

    with _progress() as say:
        table = flow.convert(flow.batches(captures, packets=packets), out, progress=say)
    total = sum(one["flows"] for one in table["captures"].values())
    for name in ("skipped", "damage"):
        if table[name]:
            counts = ", ".join(f"{kind} {count}" for kind, count in sorted(table[name].items()))
            typer.echo(f"{name}: {counts}", err=True)
    typer.echo(f"{total} flows of {table['packets']} packets in {out}")
    if any(one["error"] for one in table["captures"].values()):  # the log has said which and why
        raise typer.Exit(1)


@app.command()
def evidence(
    claims: Annotated[
        list[str] | None, typer.Argument(help="Claims to make; all when none is named.")
    ] = None,
    profile: Annotated[str, typer.Option(help="Which set of scenarios to capture: quick or full.")] = "quick",
    out: Annotated[Path, typer.Option(help="Where captures, tables, figures and the report go.")] = Path(
        "out/evidence"
    ),
    jobs: Annotated[int, typer.Option(help="Captures made side by side; 0: one a core.")] = 0,
    no_netns: Annotated[
        bool, typer.Option("--no-netns", help="Packetise from recorded sockets, no namespaces.")
    ] = False,
) -> None:
    """Capture what is missing, run every detector, and write each claim's table, figure and paragraph, and the report.

    An interrupted run goes on where it stopped.

    Example: btresearch evidence E1 --profile quick --out out/evidence
    """
    from btresearch import road

    with _progress() as say:
        found = road.evidence(
            claims or road.CLAIMS,
            out=out,
            profile=profile,
            jobs=jobs or None,
            netns=not no_netns,
            progress=say,
        )
    for claim in found:
        for finding in claim.findings:
            typer.echo(f"{finding.verdict:16} {claim.claim} {finding.id:20} {finding.result}")
    for note in dict.fromkeys(note for claim in found for note in claim.notes):
        typer.echo(f"note: {note}")
    typer.echo(f"report: {out / 'index.html'}")


@app.command()
def foreign(
    folder: Annotated[
        Path, typer.Argument(help="Captures made by others, a folder per class (bt-mse, tls-web, ...).")
    ],
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Write the counts here (CSV).")] = None,
) -> None:
    """Ask every rule about captures made by others: detections and false positives per class.

    Example: btresearch foreign pcaps -o out/foreign.csv
    """
    from btresearch.evidence import foreign as others

    with _progress() as say:
        table = others.count(folder, progress=say)
    if out:
        table.to_csv(out, index=False)
    _print_table("Flows acted on (named BitTorrent) of those asked, per class", others.by_class(table))
    _print_table("Captures with false positives", others.false_positives(table))


@app.command()
def detect(
    sources: Annotated[
        list[Path], typer.Argument(help="Captures, capture folders, or flow tables (.parquet).")
    ],
    detector: Annotated[
        list[str] | None, typer.Option(help="Ask only this one; repeat for more. All when none is named.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the verdicts here (Parquet).")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line on standard output.")
    ] = False,
    explain: Annotated[
        str,
        typer.Option(
            metavar="FLOW",
            help="Tell all about one flow: its flow_id, or CAPTURE:FLOW_ID (start of its hash).",
        ),
    ] = "",
) -> None:
    """Ask the detectors about every flow of captures or flow tables.

    Example: btresearch detect capture.pcapng --detector fet --detector tstat_mse -o verdicts.parquet
    """
    from btresearch import detect as detectors

    flows = detectors.load(sources)
    if explain:
        hash_, _, number = explain.rpartition(":")
        if not number.isdecimal():
            raise typer.BadParameter("FLOW_ID or CAPTURE:FLOW_ID is expected", param_hint="--explain")
        typer.echo(str(detectors.explain(flows, int(number), detector, capture=hash_)))
        return
    verdicts = detectors.run(flows, detector)
    if output:
        verdicts.to_parquet(output, index=False)
    if as_json:
        typer.echo(verdicts.to_json(orient="records", lines=True).rstrip("\n"))
    elif not output:
        few = len(verdicts) <= ROWS_ON_SCREEN
        columns = ["flow_id", "detector", "verdict", "score", "why"]
        _print_table("Verdicts", verdicts[columns] if few else detectors.summary(verdicts))


@app.command()
def stacks(
    captures: Annotated[
        Path, typer.Argument(help="Folder of labelled captures: for stacks that need a lab (SSL torrents).")
    ],
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="The table; the one that tls_fingerprint reads if not said."),
    ] = None,
    times: Annotated[int, typer.Option(min=1, help="Hellos that are recorded of each program.")] = 10,
) -> None:
    """Record the ClientHellos of this machine's TLS stacks into the table that tls_fingerprint reads.

    Example: btresearch stacks captures
    """
    from btresearch import stacks as recorder

    with _progress() as say:
        count = recorder.update(captures, out or recorder.TABLE, times=times, progress=say)
    typer.echo(f"{count} stacks recorded in {out or recorder.TABLE}")


@app.command()
def samples(
    out: Annotated[Path, typer.Option(help="Where the captures go.")] = Path("captures"),
    jobs: Annotated[int, typer.Option(help="Captures made side by side.")] = 2,
) -> None:
    """Make the small labelled captures anew that the notebooks run from.

    Example: btresearch samples --out captures
    """
    from btresearch import road

    with _progress() as say:
        made = road.samples(out, jobs=jobs, progress=say)
    typer.echo(f"{len(made)} captures in {out}")


def _print_table(title: str, table: pd.DataFrame) -> None:
    from rich.console import Console
    from rich.table import Table

    grid = Table(title=title)
    for name in table.columns:
        grid.add_column(str(name))
    for row in table.astype(str).itertuples(index=False):
        grid.add_row(*row)
    Console().print(grid)


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """A line that changes on a terminal, and a line a step elsewhere."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda line: console.print(line, highlight=False, soft_wrap=True, markup=False)
        return
    with console.status("") as status:
        yield status.update


def main() -> None:
    """Run the command line; a known error is one line on stderr and exit status 1."""
    try:
        app()
    except BtresearchError as error:
        typer.echo(f"btresearch: {error}", err=True)
        sys.exit(1)
    except OSError as error:
        typer.echo(f"btresearch: {error.filename or 'system'}: {error.strerror or error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        typer.echo("btresearch: interrupted", err=True)
        sys.exit(INTERRUPTED)
    except SystemExit as ended:
        # typer turns a Ctrl-C into this, without a word
        if ended.code == INTERRUPTED:
            typer.echo("btresearch: interrupted", err=True)
        raise


if __name__ == "__main__":
    main()
