"""What makes one a member of a torrent: its level, its keys, and under which name to announce it."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from btresearch.errors import InputError, printable
from btresearch.peer.handshake import INFOHASH_BYTES
from btresearch.peer.magnet import Magnet
from btresearch.peer.secret import commit_of, secret_from_passphrase
from btresearch.peer.tls_info import TlsInfo, decode_link
from btresearch.peer.torrent import Torrent
from btresearch.session.accounts import Accounts
from btresearch.transport.btls import Credential, Level, Member, TorrentKey
from btresearch.transport.errors import LocalProtocolError

MAX_NAME_CHARS = 100
MAX_FILE_BYTES = 64 * 1024
NO_CREDENTIAL = "a certificate, or an account to get one with: its level is full"

MemberSource = Callable[[], Member | None]
"""The credential to show at level Full, asked for each connection: a renewal swaps it."""


def nobody() -> Member | None:
    """No credential, as at the levels below Full."""
    return None


@dataclass(frozen=True)
class Membership:
    """How to take part in one torrent.

    `keys` has one key for each full infohash, v1 before v2 (a hybrid has both). `tls` is None at level Basic.
    """

    keys: tuple[TorrentKey, ...]
    tls: TlsInfo | None = None
    member: MemberSource = field(default=nobody, repr=False, compare=False)

    @classmethod
    def of(
        cls,
        source: Torrent | Magnet,
        *,
        secret: bytes | None = None,
        passphrase: str | None = None,
        member: MemberSource = nobody,
    ) -> Membership:
        """From a torrent or link and what else is known. Slow with a passphrase: not for the event loop.

        Raises InputError when the secret is missing or wrong, or when there is nothing that it could be for.
        """
        name = printable(source.name or source.infohash.hex(), MAX_NAME_CHARS)
        tls, found = _tls_of(source)
        if tls is None:
            if secret is not None or passphrase is not None:
                raise InputError(name, "a torrent above btls level basic, to go with a secret")
            return cls.basic(*source.infohashes)
        proven = _secret(tls, name, secret or found, passphrase)
        keys = tuple(TorrentKey.derive(infohash, tls.level, proven) for infohash in source.infohashes)
        return cls(keys, tls, member)

    @classmethod
    def basic(cls, *infohashes: bytes) -> Membership:
        """What an infohash alone gives."""
        return cls(tuple(TorrentKey.basic(infohash) for infohash in infohashes))

    @property
    def level(self) -> Level:
        """`basic`, `strict` or `full`."""
        return self.keys[0].level

    @property
    def infohashes(self) -> tuple[bytes, ...]:
        """The full ones, as in `keys`."""
        return tuple(key.infohash for key in self.keys)

    @property
    def dial_key(self) -> TorrentKey:
        """What to prove to others: v2's where it is known."""
        return self.keys[-1]

    @property
    def discovery_ids(self) -> tuple[bytes, ...]:
        """What stands for each infohash where it must not be named: at Basic, itself (20 bytes)."""
        if self.level == "basic":
            return tuple(infohash[:INFOHASH_BYTES] for infohash in self.infohashes)
        return tuple(key.discovery_id for key in self.keys)

    def announce_ids(self, url: str) -> tuple[bytes, ...]:
        """What the tracker at `url` is told, 20 bytes each: infohashes, or discovery ids, never both."""
        if self.tls is None or self.tls.may_name_torrent(url):
            return tuple(infohash[:INFOHASH_BYTES] for infohash in self.infohashes)
        return self.discovery_ids

    def announce_id(self, url: str) -> bytes:
        """The first of `announce_ids`, which every member of the torrent knows."""
        return self.announce_ids(url)[0]

    def check(self, torrent: Torrent) -> None:
        """Hold metadata against what was known before. Raises InputError unless both say the same of TLS."""
        name, found = printable(torrent.name, MAX_NAME_CHARS), torrent.tls_info
        if self.tls is None and found is not None:
            raise InputError(name, f"x.tls in its magnet link: the torrent's level is {found.level}")
        if self.tls is not None and (found is None or found.encode() != self.tls.encode()):
            raise InputError(name, "the info.tls that x.tls repeats: the link or the metadata was altered")

    def joined_by(self, member: MemberSource) -> Membership:
        """The same with a credential."""
        return replace(self, member=member)


class Holder(Protocol):
    """Has a credential for one torrent, as long as it is good."""

    @property
    def member(self) -> Member | None:
        """The present one."""


@dataclass(frozen=True)
class Standing:
    """A credential that the user brought; nobody renews it."""

    member: Member | None = field(repr=False)


Enrol = Callable[[Membership], AbstractAsyncContextManager[Holder]]
"""Gets a credential for a torrent of level Full, and keeps it fresh while the block runs."""


def bringing(chain: Path, key: Path) -> Enrol:
    """A credential from two PEM files. Raises InputError."""
    try:
        credential = Credential.load(_read(chain), _read(key))
    except LocalProtocolError as error:
        raise InputError(chain, "a chain in PEM with its private key") from error

    @asynccontextmanager
    async def enrol(membership: Membership) -> AsyncIterator[Holder]:
        ca = membership.tls.ca if membership.tls is not None else ()
        yield Standing(Member(credential, frozenset(ca)))

    return enrol


@dataclass(frozen=True)
class Access:
    """What a user brings to a torrent above level Basic, beside its file or link.

    `accounts` are for HTTPS trackers that serve members alone; each is told what is its own.
    """

    secret: bytes | None = field(default=None, repr=False)
    passphrase: str | None = field(default=None, repr=False)
    enrol: Enrol | None = None
    accounts: Accounts | None = field(default=None, repr=False)

    @asynccontextmanager
    async def to(self, source: Torrent | Magnet) -> AsyncIterator[Membership]:
        """The membership that this gives, for as long as the block runs.

        Raises InputError as `Membership.of` does, and at level Full without a credential.
        """
        # In a thread: scrypt takes half a second.
        membership = await asyncio.to_thread(
            Membership.of, source, secret=self.secret, passphrase=self.passphrase
        )
        if membership.level != "full":
            yield membership
            return
        if self.enrol is None:
            raise InputError(printable(source.name or source.infohash.hex(), MAX_NAME_CHARS), NO_CREDENTIAL)
        async with self.enrol(membership) as holder:
            yield membership.joined_by(lambda: holder.member)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES)
    except OSError as error:
        raise InputError(path, f"a readable PEM file ({error.strerror})") from error


def _tls_of(source: Torrent | Magnet) -> tuple[TlsInfo | None, bytes | None]:
    if isinstance(source, Torrent):
        return source.tls_info, source.secret
    return (None, None) if source.tls is None else decode_link(source.tls)


def _secret(tls: TlsInfo, name: str, secret: bytes | None, passphrase: str | None) -> bytes:
    """The secret that `commit` commits to; no message says what was tried."""
    if passphrase is not None and tls.kdf is not None:
        secret = secret_from_passphrase(passphrase, tls.kdf)
    if secret is None:
        raise InputError(name, f"a {'passphrase' if tls.kdf else 'secret'}: its level is {tls.level}")
    if not hmac.compare_digest(commit_of(secret), tls.commit):
        raise InputError(name, f"the {'passphrase' if tls.kdf else 'secret'} that it was made with")
    return secret
