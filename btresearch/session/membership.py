"""What makes one a member of a torrent: its level, its keys, and under which name to announce it."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from btresearch.errors import InputError, printable
from btresearch.peer.handshake import INFOHASH_BYTES
from btresearch.peer.magnet import Magnet
from btresearch.peer.secret import commit_of, secret_from_passphrase
from btresearch.peer.tls_info import TlsInfo, decode_link
from btresearch.peer.torrent import Torrent
from btresearch.transport.btls import Level, TorrentKey

if TYPE_CHECKING:
    from btresearch.transport.btls import Member

MAX_NAME_CHARS = 100

MemberSource = Callable[[], "Member | None"]
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
            return cls(tuple(TorrentKey.basic(infohash) for infohash in source.infohashes))
        proven = _secret(tls, name, secret or found, passphrase)
        keys = tuple(TorrentKey.derive(infohash, tls.level, proven) for infohash in source.infohashes)
        return cls(keys, tls, member)

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

    def joined_by(self, member: MemberSource) -> Membership:
        """The same with a credential."""
        return replace(self, member=member)


Enrol = Callable[[Membership], AbstractAsyncContextManager[MemberSource]]
"""Gets a credential for a torrent of level Full, and keeps it fresh while the block runs."""


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
