"""One content, a torrent for it at every level, and what each end holds of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from btresearch.bench.party import MemberAuthority
from btresearch.lab import certificates
from btresearch.peer import Torrent
from btresearch.peer.secret import commit_of
from btresearch.peer.ssl_root import with_ssl_root
from btresearch.peer.tls_info import TlsInfo, TorrentLevel
from btresearch.session.torrent_file import create
from btresearch.transport.btls import Member

Role = Literal["seed", "leech"]
MIB = 1 << 20
EST = "https://127.0.0.1"
"""A torrent of level Full has to name one; the bench hands out the credentials itself."""


@dataclass(frozen=True)
class Content:
    """Random bytes in `home`/seed."""

    home: Path
    torrent: Torrent

    @classmethod
    def make(cls, home: Path, size_bytes: int) -> Content:
        """Write and hash them."""
        (home / "seed").mkdir()
        _write_random(home / "seed" / "content.bin", size_bytes)
        return cls(home, create(home / "seed" / "content.bin"))

    @property
    def folder(self) -> Path:
        """Where the seed finds it."""
        return self.home / "seed"

    def task(self, transport: str, role: Role) -> dict[str, Any]:
        """What the end that plays `role` is told of the torrent. A new transport is a new entry of the table."""
        torrent, holdings = _TORRENTS.get(transport, Content._plain)(self, role)
        told = torrent.dump(with_secret=True).decode("latin-1")
        return {"transport": transport, "torrent": told, "role": role, **holdings}

    def _plain(self, role: Role) -> tuple[Torrent, Mapping[str, Any]]:
        return self.torrent, {}

    def _ssl(self, role: Role) -> tuple[Torrent, Mapping[str, Any]]:
        torrent, root = self._ssl_torrent
        return torrent, {"certificate": certificates.peer(self.home / role / "ssl", root)}

    def _strict(self, role: Role) -> tuple[Torrent, Mapping[str, Any]]:
        return self._levels["strict"], {}

    def _full(self, role: Role) -> tuple[Torrent, Mapping[str, Any]]:
        torrent = self._levels["full"]
        return torrent, {"member": _write(self.home / role, self._authority.member(torrent.infohash))}

    @cached_property
    def _ssl_torrent(self) -> tuple[Torrent, certificates.Authority]:
        root = certificates.authority("torrent root")
        return with_ssl_root(self.torrent, root.pem.encode()), root

    @cached_property
    def _authority(self) -> MemberAuthority:
        return MemberAuthority()

    @cached_property
    def _levels(self) -> dict[TorrentLevel, Torrent]:
        secret, ca = os.urandom(32), (self._authority.spki_sha256,)
        strict = TlsInfo.create("strict", commit_of(secret))
        full = TlsInfo.create("full", commit_of(secret), ca=ca, est=EST)
        return {"strict": self._above_basic(strict, secret), "full": self._above_basic(full, secret)}

    def _above_basic(self, tls: TlsInfo, secret: bytes) -> Torrent:
        plain = self.torrent
        return Torrent.create(
            plain.name,
            [((), plain.total_bytes)],
            plain.pieces,
            piece_length_bytes=plain.piece_length_bytes,
            tls=tls,
            secret=secret,
        )


_TORRENTS: dict[str, Callable[[Content, Role], tuple[Torrent, Mapping[str, Any]]]] = {
    "ssl_torrent": Content._ssl,
    "btls_strict": Content._strict,
    "btls_full": Content._full,
}


def _write(folder: Path, member: Member) -> dict[str, str]:
    """Chain and key as PEM files."""
    folder.mkdir(exist_ok=True)
    chain, key = folder / "member.pem", folder / "member.key"
    found = [x509.load_der_x509_certificate(one) for one in member.credential.chain]
    chain.write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in found))
    key.touch(mode=0o600)
    key.write_bytes(
        member.credential.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    return {"chain": str(chain), "key": str(key), "ca": next(iter(member.ca)).hex()}


def _write_random(path: Path, size_bytes: int) -> None:
    block = os.urandom(MIB)
    with path.open("wb") as file:
        for number in range(-(-size_bytes // MIB)):  # every piece its own: the block is rotated
            turn = number % MIB
            file.write((block[turn:] + block[:turn])[: size_bytes - number * MIB])
