"""The command line: every command is a call that a notebook can make too."""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import typer

from btresearch import __version__
from btresearch.errors import BtresearchError

app = typer.Typer(
    name="btresearch",
    help="BitTorrent over TLS 1.3: a peer, labelled captures, replayed DPI, and the evidence.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"btresearch {__version__}")
        raise typer.Exit


@app.callback()
def options(
    verbose: Annotated[int, typer.Option("-v", "--verbose", count=True, help="More log lines; twice for debug.")] = 0,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Set what every command shares."""
    level = {0: logging.WARNING, 1: logging.INFO}.get(verbose, logging.DEBUG)
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)


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
        sys.exit(130)


if __name__ == "__main__":
    main()
