"""The commands of the secure tracker: its members, its torrents, and the server itself."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from btresearch.session.secure import Members
    from btresearch.session.secure.members import Listed

app = typer.Typer(help="Members of a secure tracker, and what they may take part in.", no_args_is_help=True)

StateOption = Annotated[
    Path | None, typer.Option("--state", help="Folder of the secure tracker; by default the user's own.")
]
TorrentOption = Annotated[
    list[str] | None,
    typer.Option("--torrent", metavar="FILE|HASH", help="A .torrent file or a full infohash; repeatable."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON objects on standard output, one a line.")]
NameArgument = Annotated[str, typer.Argument(help="The member's name.")]

STDIN = "-"
_INFOHASH = re.compile(r"[0-9a-fA-F]{40}|[0-9a-fA-F]{64}")


@app.command("add")
def member_add(
    name: NameArgument,
    torrent: TorrentOption = None,
    state: StateOption = None,
    password_file: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="First line is the password; - is standard input."),
    ] = None,
    new_password: Annotated[
        bool, typer.Option("--new-password", help="Replace the password of one who is a member already.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Add a member, or let one take part in more torrents; a generated password is shown this once.

    Example: btresearch member add ann --torrent photos.torrent --state tracker
    """
    from btresearch.session.secure import passwords

    chosen = _password(password_file) if password_file else None
    with _members(state) as members:
        password = None
        if chosen or new_password or members.password_hash(name) is None:
            password = chosen or passwords.generate()
            members.add(name, passwords.hashed(password), now_s=int(time.time()))
        for infohashes, title in map(_torrent, torrent or ()):
            members.register(infohashes, title)
            members.entitle(name, infohashes[-1])
    shown = password if password and not chosen else None
    if as_json:
        told: dict[str, object] = {"event": "added", "name": name}
        _say(told | {"password": shown} if shown else told)
    elif shown:
        typer.echo(f"{name}: password {shown}")
    else:
        typer.echo(f"{name}: added")


@app.command("remove")
def member_remove(
    name: NameArgument,
    torrent: TorrentOption = None,
    state: StateOption = None,
) -> None:
    """Remove a member, or with --torrent take back those alone; certificates given out expire in 4 hours.

    Example: btresearch member remove ann --state tracker
    """
    with _members(state) as members:
        for infohashes, _ in map(_torrent, torrent or ()):
            members.withdraw(name, infohashes[-1])
        if not torrent:
            members.remove(name)
    typer.echo(f"{name}: removed" + (f" from {len(torrent)} torrents" if torrent else ""))


@app.command("list")
def member_list(state: StateOption = None, as_json: JsonOption = False) -> None:
    """Show members, what they may take part in, and when they last got a certificate.

    Example: btresearch member list --state tracker
    """
    with _members(state) as members:
        rows = members.everyone()
    for row in rows:
        if as_json:
            _say(_fields(row))
        else:
            typer.echo(_line(row))


@app.command("torrent")
def member_torrent(
    source: Annotated[
        list[str],
        typer.Argument(metavar="FILE|HASH...", help="A .torrent file, or one torrent's infohashes."),
    ],
    state: StateOption = None,
) -> None:
    """Make a torrent known to the secure tracker, by both infohashes if it is a hybrid.

    Example: btresearch member torrent photos.torrent --state tracker
    """
    read = [_torrent(one) for one in source]
    infohashes = sorted({infohash for hashes, _ in read for infohash in hashes}, key=len)
    with _members(state) as members:
        members.register(infohashes, next((name for _, name in read if name), ""))
    for infohash in infohashes:
        typer.echo(infohash.hex())


def serve(
    state: Path | None,
    *,
    host: str,
    port: int,
    interval_s: int,
    cert: Path | None,
    key: Path | None,
    origin: str | None,
    as_json: bool,
) -> None:
    """Run the secure tracker until a signal; says what torrents and accounts need to name."""
    from btresearch.errors import InputError
    from btresearch.session import loop
    from btresearch.session.secure import SecureTracker

    if (cert is None) != (key is None):
        raise InputError("--cert, --key", "both, or neither for a self-made certificate")
    if origin is None and host in ("", "0.0.0.0", "::"):
        raise InputError("--origin", "https://NAME:PORT as members reach it: every address is listened on")
    server = SecureTracker(
        _state(state),
        host=host,
        port=port,
        chain=cert,
        key=key,
        origin=origin,
        interval_s=interval_s,
    )

    async def run(stop: Any) -> None:
        async with server:
            told = {
                "url": server.url,
                "est": server.origin,
                "ca": server.ca.hex(),
                "pin": server.pin.hex(),
                "port": server.port,
            }
            if as_json:
                _say({"event": "listening"} | told)
            else:
                sys.stdout.write("".join(f"{name} {value}\n" for name, value in told.items()))
                sys.stdout.flush()
            await stop.wait()

    loop.run(loop.until_signal(run))


@contextmanager
def _members(state: Path | None) -> Iterator[Members]:
    from btresearch.session.secure import Members

    with Members(_state(state)) as members:
        yield members


def _state(state: Path | None) -> Path:
    from btresearch.session.identity import state_folder

    return state or state_folder() / "secure-tracker"


def _torrent(source: str) -> tuple[tuple[bytes, ...], str]:
    """The full infohashes of a file or of the hash itself, and the name."""
    from btresearch.peer import Torrent

    if _INFOHASH.fullmatch(source):
        return (bytes.fromhex(source),), ""
    torrent = Torrent.load(Path(source))
    return torrent.infohashes, torrent.name


def _password(source: str) -> str:
    """The first line of a file. Never an argument: every user of the machine sees those."""
    from btresearch.errors import InputError
    from btresearch.session.secure import passwords

    if source == STDIN:
        line = sys.stdin.readline(passwords.MAX_BYTES + 2)
    else:
        with Path(source).open(encoding="utf-8") as file:
            line = file.readline(passwords.MAX_BYTES + 2)
    password = line.rstrip("\r\n")
    if len(password) < passwords.MIN_CHARS or len(password.encode()) > passwords.MAX_BYTES:
        raise InputError(
            "the password", f"{passwords.MIN_CHARS} characters or more, {passwords.MAX_BYTES} bytes at most"
        )
    return password


def _fields(row: Listed) -> dict[str, object]:
    return {
        "name": row.name,
        "enabled": row.enabled,
        "torrents": [infohash.hex() for infohash in row.infohashes],
        "last_issued_s": row.last_issued_s,
    }


def _line(row: Listed) -> str:
    issued = "no certificate yet"
    if row.last_issued_s is not None:
        issued = time.strftime("last certificate %Y-%m-%d %H:%M:%S UTC", time.gmtime(row.last_issued_s))
    held = " ".join(infohash.hex() for infohash in row.infohashes) or "no torrent"
    return f"{row.name}  {'member' if row.enabled else 'removed'}  {issued}  {held}"


def _say(fields: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()
