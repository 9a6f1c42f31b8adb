"""The port of SSL torrents, beside the ordinary one as libtorrent has it: what arrives names its torrent by SNI."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from btresearch.errors import InputError, printable
from btresearch.peer.magnet import Magnet
from btresearch.peer.ssl_root import ssl_root, with_ssl_root
from btresearch.peer.torrent import Torrent
from btresearch.session.listener import Arrival, Listener
from btresearch.transport import Transport
from btresearch.transport.ssl_torrent import PeerCertificate, SslTorrent, SslTorrents, certificates, dial

if TYPE_CHECKING:
    from btresearch.session.node import Node

NAME = "ssl_torrent"
MAX_FILE_BYTES = 64 * 1024


def load_certificate(chain: Path, key: Path) -> PeerCertificate:
    """Read two PEM files. Raises InputError."""
    return PeerCertificate.from_pem(_read(chain), _read(key), str(chain))


def with_authority(torrent: Torrent, authority: Path) -> Torrent:
    """The same content as an SSL torrent below this certificate (a PEM file). Raises InputError."""
    pem = _read(authority)
    certificates(pem, str(authority))
    return with_ssl_root(torrent, pem)


def check(
    source: Torrent | Magnet, transports: Sequence[str], certificate: PeerCertificate | None
) -> tuple[str, ...]:
    """The transports for `source`: an SSL torrent has one, whatever was asked for, as in libtorrent.

    Raises InputError: an SSL torrent without a certificate for it, or `ssl_torrent` alone for any other.
    """
    is_ssl = isinstance(source, Torrent) and ssl_root(source) is not None
    name = printable(source.name or source.infohash.hex(), 100)
    if is_ssl and certificate is None:
        raise InputError(name, "a certificate and its key: this is an SSL torrent")
    if not is_ssl and set(transports) == {NAME}:
        raise InputError(name, "a .torrent file with ssl-cert for transport ssl_torrent")
    return (NAME,) if is_ssl else tuple(transports)


class SslPort:
    """The SSL torrents of one endpoint, and where they are listened for."""

    def __init__(self, node: Node, certificate: PeerCertificate) -> None:
        self._node, self._certificate = node, certificate
        self._torrents = SslTorrents()
        self._listener = Listener(node, greet=self._greet)

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._listener.port

    async def start(self, host: str, port: int) -> None:
        """Listen, as `Listener.start` does."""
        await self._listener.start(host, port)

    async def stop(self) -> None:
        """Stop listening."""
        await self._listener.stop()

    def serve(self, torrent: Torrent) -> bool:
        """Take it if it is an SSL torrent. Raises InputError for an `ssl-cert` that is no certificate."""
        root = ssl_root(torrent)
        if root is None:
            return False
        self._torrents.add(SslTorrent(torrent.infohash, torrent.name, root, self._certificate))
        return True

    def __contains__(self, infohash: bytes) -> bool:
        return self._torrents.get(infohash) is not None

    def outgoing(self, infohash: bytes) -> Transport:
        """An initiator's transport for a torrent that was taken."""
        torrent = self._torrents.get(infohash)
        if torrent is None:
            raise KeyError(infohash.hex())
        return dial(torrent)

    def _greet(self, listener: Listener) -> asyncio.BaseProtocol:
        link = self._node.link(self._torrents.accept())
        link.owner = Arrival(listener, link)
        return link


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES)
    except OSError as error:
        raise InputError(path, f"a readable PEM file ({error.strerror})") from error
