"""Commands about the documents of `paper/`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="The documents of paper/.", no_args_is_help=True)


@app.command()
def build(
    source: Annotated[Path, typer.Option(help="Folder of .rst documents.")] = Path("paper"),
    out: Annotated[Path, typer.Option(help="Where HTML and the BEP's single file go.")] = Path("out/paper"),
) -> None:
    """Build the BEP and the evidence paper to HTML; a docutils warning is a failure.

    Example: btresearch paper build --out out/paper
    """
    from btresearch import bep
    from btresearch.evidence.paper import build

    for page in build(source, out):
        typer.echo(str(page))
    if (source / bep.DOCUMENT).exists():
        typer.echo(str(bep.flatten(source, out)))


@app.command()
def vectors(
    folder: Annotated[Path, typer.Option(help="Where the test vectors are.")] = Path("paper/vectors"),
    check: Annotated[bool, typer.Option("--check", help="Compare; write nothing.")] = False,
) -> None:
    """Generate the BEP's test vectors from the implementation, or check that they are as generated.

    Example: btresearch paper vectors --check
    """
    from btresearch import bep

    paths = bep.check(folder) if check else bep.write(folder)
    typer.echo(f"{folder}: {len(paths)} files {'as generated' if check else 'written'}")


@app.command()
def evidence(
    results: Annotated[
        Path | None, typer.Option(help="The evidence.json of a run; paper/evidence.json when none is named.")
    ] = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="The document to write or check.")] = Path(
        "paper/evidence.rst"
    ),
    check: Annotated[
        bool, typer.Option("--check", help="Only say whether the document is what the results render to.")
    ] = False,
) -> None:
    """Render the Informational companion from results, so that its numbers can't differ from them.

    Example: btresearch paper evidence --results out/evidence/evidence.json
    """
    from btresearch.evidence import companion

    made = companion.read(results or companion.RESULTS)
    if check:
        companion.check(made, out)
    else:
        out.write_text(companion.render(made), encoding="utf-8")
    typer.echo(f"{out}: as the results say" if check else str(out))
