"""The commands that move torrents: create, show, magnet, seed, get, tracker."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from btresearch.cli_level import (
    AccountsOption,
    CaOption,
    CredentialOption,
    EstOption,
    KeyOption,
    LevelOption,
    PassphraseFileOption,
    PassphraseOption,
    SecretFileOption,
    SecureTrackerOption,
    TlsOption,
    WithSecretOption,
)

if TYPE_CHECKING:
    from btresearch.peer import Magnet, Torrent
    from btresearch.session import Progress
    from btresearch.session.torrent_file import Version
    from btresearch.transport.ssl_torrent import PeerCertificate

app = typer.Typer()
torrent_app = typer.Typer(help="Make and read .torrent files and magnet links.", no_args_is_help=True)
app.add_typer(torrent_app, name="torrent")

TransportOption = Annotated[
    str, typer.Option("--transport", help="Comma-separated; all are accepted, the first is dialled with.")
]
ShapeOption = Annotated[str, typer.Option(help="Cut of TLS records: rechunk or none.")]
PeerOption = Annotated[
    list[str] | None, typer.Option("--peer", metavar="HOST:PORT", help="A peer to dial; repeatable.")
]
HostOption = Annotated[str, typer.Option(help="Address to listen on; every address if not given.")]
PortOption = Annotated[int, typer.Option(min=0, max=65535, help="TCP port to listen on; 0: any free one.")]
LimitOption = Annotated[
    int, typer.Option(min=0, metavar="BYTES", help="Upload at most this much a second; 0: no limit.")
]
SslCertificateOption = Annotated[
    Path | None, typer.Option("--ssl-certificate", help="SSL torrents: this peer's chain in PEM, own first.")
]
SslKeyOption = Annotated[Path | None, typer.Option("--ssl-key", help="SSL torrents: its private key in PEM.")]
SslPortOption = Annotated[
    int, typer.Option(min=0, max=65535, help="SSL torrents: the TCP port to listen on; 0: any free one.")
]
DecoyOption = Annotated[
    str | None,
    typer.Option(metavar="URL", help="Show strangers this web server of yours, not the built-in one."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON objects on standard output, one a line.")]

DEFAULT_TRANSPORTS = "btls_basic,mse_rc4,mse_plain,clear"


@torrent_app.command("create")
def torrent_create(
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
    from btresearch.session.torrent_file import create

    made = cli_level.founding(level, passphrase=passphrase, ca=ca, est=est, trackers=secure_tracker)
    with _bar("hashing", unit="bytes") as update:
        torrent = create(
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


@torrent_app.command("show")
def torrent_show(
    source: Annotated[str, typer.Argument(help="A .torrent file or a magnet link.")],
    as_json: JsonOption = False,
) -> None:
    """Show what a .torrent file or magnet link says.

    Example: btresearch torrent show photos.torrent
    """
    from btresearch import cli_level
    from btresearch.errors import printable

    found = _load(source)
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


@torrent_app.command("magnet")
def torrent_magnet(
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
            peers=tuple(_peers(peer)),
            length_bytes=torrent.total_bytes,
            tls=cli_level.link_tls(torrent, with_secret=with_secret, secret_file=secret_file),
            infohash_v2=torrent.infohash_v2,
        ).format()
    )


@app.command()
def seed(
    source: Annotated[Path, typer.Argument(metavar="X.torrent", help="The .torrent file.")],
    path: Annotated[Path, typer.Argument(help="The content, or the folder that holds it.")],
    *,
    host: HostOption = "",
    port: PortOption = 0,
    transport: TransportOption = DEFAULT_TRANSPORTS,
    shape: ShapeOption = "rechunk",
    tls: TlsOption = None,
    secret_file: SecretFileOption = None,
    passphrase_file: PassphraseFileOption = None,
    accounts: AccountsOption = None,
    credential: CredentialOption = None,
    key: KeyOption = None,
    peer: PeerOption = None,
    limit_up: LimitOption = 0,
    ssl_certificate: SslCertificateOption = None,
    ssl_key: SslKeyOption = None,
    decoy: DecoyOption = None,
    ssl_port: SslPortOption = 0,
    verify: Annotated[bool, typer.Option(help="Hash the content before serving it.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Serve a torrent until Ctrl-C; prints the port that it listens on.

    Example: btresearch seed photos.torrent photos --port 6881 --transport btls_basic
    """
    from btresearch import cli_level
    from btresearch.peer import Torrent
    from btresearch.session import loop, seed

    access = cli_level.access(secret_file, passphrase_file, accounts, credential, key)
    torrent = Torrent.load(source)
    with _transfer_bar(as_json) as report:
        result = loop.run(
            loop.until_signal(
                lambda stop: seed(
                    torrent,
                    path,
                    host=host,
                    port=port,
                    transports=_names(transport),
                    shape=shape,
                    tls=tls,
                    access=access,
                    peers=_peers(peer),
                    upload_bytes_per_s=limit_up or None,
                    ssl_certificate=_certificate(ssl_certificate, ssl_key),
                    ssl_listen_port=ssl_port,
                    decoy=decoy,
                    verify=verify,
                    stop=stop,
                    report=report,
                )
            )
        )
    if as_json:
        _say({"event": "stopped", "uploaded_bytes": result.uploaded_bytes, "seconds": result.seconds})
    else:
        typer.echo(f"uploaded {result.uploaded_bytes} bytes in {result.seconds:.1f} s")


@app.command()
def get(
    source: Annotated[
        str, typer.Argument(metavar="X.torrent|MAGNET", help="A .torrent file or a magnet link.")
    ],
    *,
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder that gets the content.")],
    tls: TlsOption = None,
    secret_file: SecretFileOption = None,
    passphrase_file: PassphraseFileOption = None,
    accounts: AccountsOption = None,
    credential: CredentialOption = None,
    key: KeyOption = None,
    peer: PeerOption = None,
    host: HostOption = "",
    port: PortOption = 0,
    transport: TransportOption = DEFAULT_TRANSPORTS,
    shape: ShapeOption = "rechunk",
    limit_up: LimitOption = 0,
    ssl_certificate: SslCertificateOption = None,
    ssl_key: SslKeyOption = None,
    decoy: DecoyOption = None,
    ssl_port: SslPortOption = 0,
    keep_seeding: Annotated[
        bool, typer.Option("--seed", help="Serve it from then on, until Ctrl-C.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Download a torrent; what an earlier run left in the folder is used.

    Example: btresearch get photos.torrent -o downloads --peer 192.0.2.1:6881 --transport btls_basic
    """
    from btresearch import cli_level
    from btresearch.session import get, loop

    access = cli_level.access(secret_file, passphrase_file, accounts, credential, key)
    with _transfer_bar(as_json) as report:
        result = loop.run(
            get(
                _load(source),
                out,
                host=host,
                port=port,
                transports=_names(transport),
                shape=shape,
                tls=tls,
                access=access,
                peers=_peers(peer),
                upload_bytes_per_s=limit_up or None,
                ssl_certificate=_certificate(ssl_certificate, ssl_key),
                ssl_listen_port=ssl_port,
                decoy=decoy,
                stay=loop.signalled if keep_seeding else None,
                report=report,
            )
        )
    rate = (result.torrent.total_bytes - result.resumed_bytes) / 1e6 / max(result.transfer_s, 1e-9)
    if as_json:
        _say(
            {
                "event": "complete",
                "infohash": result.torrent.infohash.hex(),
                "path": str(result.path),
                "downloaded_bytes": result.downloaded_bytes,
                "resumed_bytes": result.resumed_bytes,
                "seconds": round(result.seconds, 4),
                "transfer_s": round(result.transfer_s, 4),
                "mb_per_s": round(rate, 2),
            }
        )
    else:
        shown = f", {rate:.1f} MB/s" if result.transfer_s else ""
        typer.echo(f"{result.path}: complete, every piece verified, {result.seconds:.1f} s{shown}")


@app.command()
def tracker(
    host: HostOption = "127.0.0.1",
    port: PortOption = 6969,
    interval: Annotated[
        int, typer.Option(min=5, help="Seconds between announces that peers are told.")
    ] = 120,
    secure: Annotated[
        bool, typer.Option("--secure", help="HTTPS, members only, with their certificates (level full).")
    ] = False,
    state: Annotated[Path | None, typer.Option(help="With --secure: folder of members and CA.")] = None,
    cert: Annotated[
        Path | None, typer.Option(help="With --secure: certificate chain in PEM; else self-made.")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="With --secure: the private key of --cert.")] = None,
    origin: Annotated[
        str | None, typer.Option(help="With --secure: https://NAME:PORT as clients reach it.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run a small tracker, HTTP and UDP on one port, until Ctrl-C; prints its announce URLs.

    Example: btresearch tracker --host 127.0.0.1 --port 6969
    """
    if secure:
        from btresearch import cli_member

        cli_member.serve(
            state,
            host=host or "0.0.0.0",
            port=port,
            interval_s=interval,
            cert=cert,
            key=key,
            origin=origin,
            as_json=as_json,
        )
        return
    from btresearch.session import TrackerServer, loop

    server = TrackerServer(host=host or "0.0.0.0", port=port, interval_s=interval)

    async def serve(stop: Any) -> None:
        async with server:
            if as_json:
                _say(
                    {
                        "event": "listening",
                        "url": server.url,
                        "udp_url": server.udp_url,
                        "port": server.port,
                    }
                )
            else:
                typer.echo(server.url)
                typer.echo(server.udp_url)
            await stop.wait()

    loop.run(loop.until_signal(serve))


def _load(source: str) -> Torrent | Magnet:
    from btresearch.peer import Magnet, Torrent

    return Magnet.parse(source) if source.lower().startswith("magnet:") else Torrent.load(Path(source))


def _certificate(chain: Path | None, key: Path | None) -> PeerCertificate | None:
    from btresearch.errors import InputError
    from btresearch.session.ssl_port import load_certificate

    if (chain is None) != (key is None):
        raise InputError("--ssl-certificate", "--ssl-key with it: an SSL torrent takes both")
    return None if chain is None or key is None else load_certificate(chain, key)


def _version(text: str) -> Version:
    from btresearch.errors import InputError

    versions: dict[str, Version] = {"1": 1, "2": 2, "hybrid": "hybrid"}
    if text not in versions:
        raise InputError("--version", f"1, 2 or hybrid, not {text}")
    return versions[text]


def _names(transports: str) -> list[str]:
    return [name.strip() for name in transports.split(",") if name.strip()]


def _peers(peers: list[str] | None) -> list[tuple[str, int]]:
    from btresearch.errors import InputError
    from btresearch.peer.address import Address

    try:
        return [Address.parse(peer) for peer in peers or ()]
    except ValueError as error:
        raise InputError("--peer", f"HOST:PORT ({error})") from error


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


def _say(fields: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


@contextmanager
def _transfer_bar(as_json: bool) -> Iterator[Callable[[Progress], None]]:
    """A bar on a terminal; the port on standard output as soon as it is known."""
    announced = False
    with _bar("", unit="pieces") as update:

        def report(progress: Progress) -> None:
            nonlocal announced
            if progress.port and not announced:
                announced = True
                if as_json:
                    _say({"event": "listening", "port": progress.port})
                else:
                    sys.stdout.write(f"listening on port {progress.port}\n")
                    sys.stdout.flush()
            update(progress.pieces, progress.piece_count, _status(progress))

        yield report


def _status(progress: Progress) -> str:
    if progress.phase in ("checking", "metadata"):
        return f"{progress.phase}, {progress.peers} peers"
    down, up = progress.down_bytes_per_s / 1e6, progress.up_bytes_per_s / 1e6
    return f"{progress.phase}, {progress.peers} peers, down {down:.1f} MB/s, up {up:.1f} MB/s"


@contextmanager
def _bar(title: str, *, unit: str) -> Iterator[Callable[[int, int, str], None]]:
    """`update(done, total, status)` on a terminal's standard error; silent elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda done, total, status: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(title or unit, total=None)

        def update(done: int, total: int, status: str) -> None:
            bar.update(task, completed=done, total=total or None, description=status or title)

        yield update
