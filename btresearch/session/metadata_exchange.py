"""The info dictionary of one swarm: fetched from peers (BEP 9), held against the link, given to others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from btresearch.errors import InputError
from btresearch.peer import metadata
from btresearch.peer.errors import RemoteProtocolError
from btresearch.peer.torrent import Torrent
from btresearch.session import ssl_port

if TYPE_CHECKING:
    from btresearch.session.remote import Remote
    from btresearch.session.swarm import Swarm


class MetadataExchange:
    """Asks while the swarm's torrent is unknown, answers from then on."""

    def __init__(self, swarm: Swarm) -> None:
        self._swarm = swarm
        self._fetch = metadata.MetadataFetch(*swarm.membership.infohashes)

    def offered(self, remote: Remote, size: int) -> None:
        """The peer has the info dictionary."""
        if self._swarm.torrent is not None:
            return
        try:
            self._fetch.add_peer(remote, size)
        except RemoteProtocolError as error:
            self._swarm.drop(remote, f"metadata: {error}", fault=True)
        self._ask()

    def message(self, remote: Remote, payload: bytes) -> None:
        """A ut_metadata message: answer it, or learn from it."""
        torrent = self._swarm.torrent
        info = None if torrent is None else torrent.info_bytes
        try:
            message = metadata.decode(payload)
            if isinstance(message, metadata.MetadataRequest):
                # BEP 9: a reject is what protects from a flood; an answer is 300 times as long as its request.
                offered = info if remote.may_ask_metadata(0 if info is None else len(info)) else None
                remote.connection.extended_message(metadata.NAME, metadata.answer(offered, message))
            elif torrent is None and (found := self._fetch.receive(remote, payload)) is not None:
                self._found(found)
        except RemoteProtocolError as error:
            self._fetch.remove_peer(remote)
            self._swarm.drop(remote, f"metadata: {error}", fault=True)
        self._ask()

    def remove_peer(self, remote: Remote) -> None:
        """Others are asked for what was open."""
        self._fetch.remove_peer(remote)

    def _ask(self) -> None:
        if self._swarm.torrent is not None:
            return
        for remote in self._swarm.remotes:
            for payload in self._fetch.requests(remote):
                remote.connection.extended_message(metadata.NAME, payload)
            remote.touch()

    def _found(self, info: bytes) -> None:
        """The infohash vouches for it, so no other peer has a better one: what is wrong ends the swarm."""
        try:
            torrent = Torrent.from_info(info)
            self._swarm.membership.check(torrent)
            ssl_port.check(torrent, self._swarm.policy.transports, None)  # what brought it was no SSL
        except InputError as error:
            self._swarm.abandon(error)
            return
        self._swarm.learn(torrent)
