"""Options of levels and secrets: what a maker chooses, and what a member brings. No secret is an argument."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from btresearch.errors import InputError

if TYPE_CHECKING:
    from btresearch.peer import Magnet, Torrent
    from btresearch.peer.tls_info import TorrentLevel
    from btresearch.session import Access
    from btresearch.session.founding import Founding

TlsOption = Annotated[
    str | None,
    typer.Option("--tls", help="require, prefer, allow or never, whatever the order of --transport says."),
]
SecretFileOption = Annotated[
    Path | None, typer.Option("--secret-file", help="File with the torrent's secret, in hexadecimal.")
]
PassphraseFileOption = Annotated[
    Path | None, typer.Option("--passphrase-file", help="File with the torrent's passphrase.")
]
AccountsOption = Annotated[
    Path | None, typer.Option("--accounts", help="Level full: TOML file of accounts at secure trackers.")
]
CredentialOption = Annotated[
    Path | None, typer.Option("--credential", help="Level full: a chain in PEM, own certificate first.")
]
KeyOption = Annotated[Path | None, typer.Option("--key", help="Level full: its private key in PEM.")]
WithSecretOption = Annotated[
    bool, typer.Option("--with-secret", help="Let the secret be in it: whoever sees it is in.")
]
LevelOption = Annotated[str, typer.Option("--level", help="basic, strict or full.")]
PassphraseOption = Annotated[
    bool, typer.Option("--passphrase", help="Generate a passphrase to hand out instead of a secret.")
]
CaOption = Annotated[
    list[str] | None,
    typer.Option(
        "--ca",
        metavar="FILE|HASH",
        help="Level full: the members' CA, its certificate or the SHA-256 of its SPKI; repeatable.",
    ),
]
EstOption = Annotated[
    str | None, typer.Option("--est", metavar="ORIGIN", help="Level full: where members enrol, https://HOST.")
]
SecureTrackerOption = Annotated[
    list[str] | None,
    typer.Option("--secure-tracker", metavar="ORIGIN", help="May be told the infohash; repeatable."),
]

_SPKI_HASH = re.compile(r"[0-9a-fA-F]{64}")
_LEVELS: dict[str, TorrentLevel] = {"strict": "strict", "full": "full"}


def founding(
    level: str, *, passphrase: bool, ca: list[str] | None, est: str | None, trackers: list[str] | None
) -> Founding | None:
    """What the maker chose; None at level basic. Raises InputError."""
    from btresearch.session.founding import Founding

    if level == "basic":
        if passphrase or ca or est or trackers:
            raise InputError("--level", "strict or full, to go with the other options")
        return None
    chosen = _LEVELS.get(level)
    if chosen is None:
        raise InputError("--level", f"basic, strict or full, not {level}")
    hashes = [_authority(one) for one in ca or ()]
    return Founding.draw(chosen, passphrase=passphrase, ca=hashes, est=est, trackers=trackers or ())


def _authority(named: str) -> bytes:
    from btresearch.session.founding import authority_hash

    return bytes.fromhex(named) if _SPKI_HASH.fullmatch(named) else authority_hash(Path(named))


def save(torrent: Torrent, made: Founding | None, out: Path, *, with_secret: bool) -> None:
    """Write the .torrent file; the secret into it, or beside it into a file that only its user may read."""
    from btresearch.session.founding import write_private

    if with_secret and made is not None and made.passphrase is None:
        write_private(out, torrent.dump(with_secret=True))
        return
    if made is not None:
        path = out.with_name(out.name + (".passphrase" if made.passphrase else ".secret"))
        write_private(path, made.to_hand_out().encode() + b"\n")
        typer.echo(f"for the members, and nobody else: {path}", err=True)
    out.write_bytes(torrent.dump())


def access(
    secret_file: Path | None,
    passphrase_file: Path | None,
    accounts: Path | None = None,
    credential: Path | None = None,
    key: Path | None = None,
) -> Access:
    """What the member brings. Raises InputError."""
    import random

    from btresearch.session import Access
    from btresearch.session.accounts import Accounts
    from btresearch.session.founding import read_passphrase, read_secret
    from btresearch.session.membership import bringing
    from btresearch.session.renewal import enrolling

    if (credential is None) != (key is None):
        raise InputError("--credential", "--credential and --key together")
    known = None if accounts is None else Accounts.load(accounts)
    enrol = None
    if credential is not None and key is not None:
        enrol = bringing(credential, key)
    elif known is not None:
        enrol = enrolling(known, rng=random.Random())
    return Access(
        None if secret_file is None else read_secret(secret_file),
        None if passphrase_file is None else read_passphrase(passphrase_file),
        enrol,
        known,
    )


def link_tls(torrent: Torrent, *, with_secret: bool, secret_file: Path | None) -> str | None:
    """A magnet link's x.tls for this torrent. Raises InputError where the secret is asked for and not known."""
    from btresearch.peer.tls_info import encode_link
    from btresearch.session.founding import read_secret
    from btresearch.session.membership import Membership

    if torrent.tls_info is None:
        return None
    if not with_secret or torrent.tls_info.kdf is not None:
        return encode_link(torrent.tls_info)
    secret = torrent.secret if secret_file is None else read_secret(secret_file)
    Membership.of(torrent, secret=secret)  # judges the secret
    return encode_link(torrent.tls_info, secret)


def describe(source: Torrent | Magnet) -> dict[str, object]:
    """What a torrent or link says of TLS, without the secret."""
    from btresearch.peer import Torrent
    from btresearch.peer.tls_info import decode_link

    if isinstance(source, Torrent):
        tls, has_secret = source.tls_info, source.secret is not None
    elif source.tls is None:
        tls, has_secret = None, False
    else:
        tls, secret = decode_link(source.tls)
        has_secret = secret is not None
    if tls is None:
        return {"level": "basic"}
    said: dict[str, object] = {"level": tls.level, "secret": "inside" if has_secret else "not inside"}
    if tls.kdf is not None:
        said["secret"] = "from a passphrase"
    if tls.level == "full":
        said |= {"ca": [hash_.hex() for hash_ in tls.ca], "est": tls.est}
    return said | ({"secure_trackers": list(tls.trackers)} if tls.trackers else {})
