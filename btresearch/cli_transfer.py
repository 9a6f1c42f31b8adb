"""The commands that move torrents: seed, get, tracker."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from btresearch.cli_level import (
    AccountsOption,
    CredentialOption,
    KeyOption,
    PassphraseFileOption,
    SecretFileOption,
    TlsOption,
)
from btresearch.cli_progress import say, transfer_bar
from btresearch.cli_torrent import JsonOption, PeerOption, load, peers_of

if TYPE_CHECKING:
    from btresearch.transport.ssl_torrent import PeerCertificate

app = typer.Typer()

TransportOption = Annotated[
    str, typer.Option("--transport", help="Comma-separated; all are accepted, the first is dialled with.")
]
ShapeOption = Annotated[str, typer.Option(help="Cut of TLS records: rechunk or none.")]
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

DEFAULT_TRANSPORTS = "btls_basic,mse_rc4,mse_plain,clear"


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
    with transfer_bar(as_json) as report:
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
                    peers=peers_of(peer),
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
        say({"event": "stopped", "uploaded_bytes": result.uploaded_bytes, "seconds": result.seconds})
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
    with transfer_bar(as_json) as report:
        result = loop.run(
            get(
                load(source),
                out,
                host=host,
                port=port,
                transports=_names(transport),
                shape=shape,
                tls=tls,
                access=access,
                peers=peers_of(peer),
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
        say(
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
                say(
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


def _certificate(chain: Path | None, key: Path | None) -> PeerCertificate | None:
    from btresearch.errors import InputError
    from btresearch.session.ssl_port import load_certificate

    if (chain is None) != (key is None):
        raise InputError("--ssl-certificate", "--ssl-key with it: an SSL torrent takes both")
    return None if chain is None or key is None else load_certificate(chain, key)


def _names(transports: str) -> list[str]:
    return [name.strip() for name in transports.split(",") if name.strip()]
