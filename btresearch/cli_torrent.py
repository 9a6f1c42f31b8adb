"""`btresearch torrent`: make and read .torrent files and magnet links."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from btresearch.cli_level import (
    CaOption,
    EstOption,
    LevelOption,
    PassphraseOption,
    SecretFileOption,
    SecureTrackerOption,
    WithSecretOption,
)
from btresearch.cli_progress import bar

if TYPE_CHECKING:
    from btresearch.peer import Magnet, Torrent
    from btresearch.session.torrent_file import Version

app = typer.Typer(help="Make and read .torrent files and magnet links.", no_args_is_help=True)

JsonOption = Annotated[bool, typer.Option("--json", help="JSON objects on standard output, one a line.")]
PeerOption = Annotated[
    list[str] | None, typer.Option("--peer", metavar="HOST:PORT", help="A peer to dial; repeatable.")
]


@app.command("create")
def create(
    path: Annotated[Path, typer.Argument(help="File or folder.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The .torrent file to write.")],
    announce: Annotated[
        list[str] | None, typer.Option(help="Tracker URL; repeatable, one tier each.")
    ] = None,
    piece_length: Annotated[int, typer.Option(min=0, help="Bytes, a power of two; 0: by size.")] = 0,
    private: Annotated[
        bool, typer.Option("--private", help="Only the trackers may name peers (BEP 27).")
    ] = False,
    version: Annotated[str, typer.Option(help="Of BitTorrent: 1, 2 (BEP 52) or hybrid (both).")] = "1",
    ssl_cert: Annotated[
        Path | None, typer.Option(help="Make it an SSL torrent as libtorrent's: its authority, in PEM.")
    ] = None,
    level: LevelOption = "basic",
    passphrase: PassphraseOption = False,
    ca: CaOption = None,
    est: EstOption = None,
    secure_tracker: SecureTrackerOption = None,
    with_secret: WithSecretOption = False,
) -> None:
    """Hash a file or folder into a .torrent file.

    Example: btresearch torrent create photos -o photos.torrent --announce http://127.0.0.1:6969/announce
    """
    from btresearch import cli_level
    from btresearch.session import torrent_file

    made = cli_level.founding(level, passphrase=passphrase, ca=ca, est=est, trackers=secure_tracker)
    with bar("hashing", unit="bytes") as update:
        torrent = torrent_file.create(
            path,
            piece_length_bytes=piece_length or None,
            version=_version(version),
            announce=[[url] for url in announce or ()],
            private=private,
            progress=lambda done, total: update(done, total, ""),
            tls=None if made is None else made.tls,
            secret=None if made is None or made.passphrase else made.secret,
        )
    if ssl_cert is not None:
        from btresearch.session.ssl_port import with_authority

        torrent = with_authority(torrent, ssl_cert)
    cli_level.save(torrent, made, out, with_secret=with_secret)
    for infohash in torrent.infohashes:
        typer.echo(infohash.hex())


@app.command("show")
def show(
    source: Annotated[str, typer.Argument(help="A .torrent file or a magnet link.")],
    as_json: JsonOption = False,
) -> None:
    """Show what a .torrent file or magnet link says.

    Example: btresearch torrent show photos.torrent
    """
    from btresearch import cli_level
    from btresearch.errors import printable

    found = load(source)
    described = _describe(found) | cli_level.describe(found)
    if as_json:
        typer.echo(json.dumps(described))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(show_header=False)
    for name, value in described.items():
        # Text, not str: brackets in a stranger's file name are no markup.
        lines = value if isinstance(value, list) else [value]
        grid.add_row(name, Text("\n".join(printable(str(line)) for line in lines), overflow="fold"))
    Console().print(grid)


@app.command("magnet")
def magnet(
    source: Annotated[Path, typer.Argument(help="A .torrent file.")],
    peer: PeerOption = None,
    with_secret: WithSecretOption = False,
    secret_file: SecretFileOption = None,
) -> None:
    """Print the magnet link of a .torrent file.

    Example: btresearch torrent magnet photos.torrent --peer 192.0.2.1:6881
    """
    from btresearch import cli_level
    from btresearch.peer import Magnet, Torrent

    torrent = Torrent.load(source)
    trackers = tuple(url for tier in torrent.announce for url in tier)
    typer.echo(
        Magnet(
            infohash=torrent.infohash,
            name=torrent.name,
            trackers=trackers,
            peers=tuple(peers_of(peer)),
            length_bytes=torrent.total_bytes,
            tls=cli_level.link_tls(torrent, with_secret=with_secret, secret_file=secret_file),
            infohash_v2=torrent.infohash_v2,
        ).format()
    )


def load(source: str) -> Torrent | Magnet:
    """A .torrent file's path or a magnet link, read. Raises InputError."""
    from btresearch.peer import Magnet, Torrent

    return Magnet.parse(source) if source.lower().startswith("magnet:") else Torrent.load(Path(source))


def peers_of(peers: list[str] | None) -> list[tuple[str, int]]:
    """HOST:PORT of each --peer. Raises InputError."""
    from btresearch.errors import InputError
    from btresearch.peer.address import Address

    try:
        return [Address.parse(peer) for peer in peers or ()]
    except ValueError as error:
        raise InputError("--peer", f"HOST:PORT ({error})") from error


def _version(text: str) -> Version:
    from btresearch.errors import InputError

    versions: dict[str, Version] = {"1": 1, "2": 2, "hybrid": "hybrid"}
    if text not in versions:
        raise InputError("--version", f"1, 2 or hybrid, not {text}")
    return versions[text]


def _describe(source: Torrent | Magnet) -> dict[str, object]:
    from btresearch.peer import Magnet

    if isinstance(source, Magnet):
        return {
            **_identity(source),
            "name": source.name,
            "bytes": source.length_bytes,
            "trackers": list(source.trackers),
            "peers": [f"{host}:{port}" for host, port in source.peers],
        }
    return {
        "version": {1: "1", 2: "2", 3: "hybrid"}[source.version],
        **_identity(source),
        "name": source.name,
        "bytes": source.total_bytes,
        "pieces": source.piece_count,
        "piece_length": source.piece_length_bytes,
        "private": source.private,
        "trackers": [url for tier in source.announce for url in tier],
        "files": [f"{'/'.join(file.path)} ({file.length_bytes} bytes)" for file in source.files],
        "warnings": list(source.warnings),
    }


def _identity(source: Torrent | Magnet) -> dict[str, object]:
    """`infohash` as handshakes have it; `infohash_v2` in full."""
    v2 = {} if source.infohash_v2 is None else {"infohash_v2": source.infohash_v2.hex()}
    return {"infohash": source.infohash.hex(), **v2}
