"""Hash requests of one swarm, BEP 52: piece layers fetched after a magnet link's metadata, hashes given to others."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from btresearch.peer.errors import RemoteProtocolError
from btresearch.peer.hash_answers import HashAnswers, Region
from btresearch.peer.hashes import Hashes, HashRange, HashReject, HashRequest
from btresearch.peer.layers_fetch import LayersFetch
from btresearch.peer.layout import BLOCK_BYTES
from btresearch.peer.torrent import Torrent

if TYPE_CHECKING:
    from btresearch.session.remote import Remote
    from btresearch.session.swarm import Swarm

# What one connection is given: each hash of the torrent so many times, and some for a small torrent's sake.
MAX_ROUNDS = 3
MIN_HASHES_GIVEN = 2048
# Requests for leaf hashes that wait for the disk; they are read one after the other.
MAX_WAITING = 64

log = logging.getLogger(__name__)


class HashExchange:
    """Asks while piece layers are missing; answers once the torrent is open."""

    def __init__(self, swarm: Swarm) -> None:
        self._swarm = swarm
        self._fetch: LayersFetch | None = None
        self._torrent: Torrent | None = None
        self._done: Callable[[Torrent], None] | None = None
        self._answers: HashAnswers | None = None
        self._given: WeakKeyDictionary[Remote, int] = WeakKeyDictionary()
        self._waiting: deque[tuple[Remote, HashRange, Region]] = deque()
        self._reading = False

    # asking

    def fetch(self, torrent: Torrent, done: Callable[[Torrent], None]) -> None:
        """Get what `torrent` lacks, then call `done` with the whole of it."""
        self._torrent, self._done = torrent, done
        self._fetch = LayersFetch(torrent.missing_layers, torrent.piece_length_bytes)
        self.ask()

    def ask(self) -> None:
        """Send what is due to whoever can answer; called in every tick, too."""
        fetch = self._fetch
        if fetch is None:
            return
        now_ns = self._swarm.node.now_ns()
        for remote in self._swarm.remotes:
            if remote.connection.established and remote.connection.v2:
                fetch.add_peer(remote)
                for wanted in fetch.requests(remote, now_ns):
                    remote.connection.hashes(HashRequest(wanted))
                remote.touch()

    def remove_peer(self, remote: Remote) -> None:
        """Others are asked for what was open."""
        if self._fetch is not None:
            self._fetch.remove_peer(remote)
            self.ask()

    def on_hashes(self, remote: Remote, message: Hashes) -> None:
        """An answer: kept if it proves right."""
        if self._fetch is None:  # late: others were faster
            return
        try:
            self._fetch.received(remote, message)
        except RemoteProtocolError as error:
            self._swarm.drop(remote, f"hashes: {error}", fault=True)
        self._finish()

    def on_reject(self, remote: Remote, message: HashReject) -> None:
        """The peer has none, or gives no more."""
        if self._fetch is None:
            return
        try:
            self._fetch.rejected(remote, message.range, self._swarm.node.now_ns())
        except RemoteProtocolError as error:
            self._swarm.drop(remote, f"hashes: {error}", fault=True)
        self.ask()

    def _finish(self) -> None:
        fetch, torrent, done = self._fetch, self._torrent, self._done
        if fetch is None or torrent is None or done is None or not fetch.complete:
            self.ask()
            return
        self._fetch = None
        done(torrent.with_layers({**torrent.piece_layers, **fetch.layers}))

    # answering

    def on_request(self, remote: Remote, message: HashRequest) -> None:
        """Answer from the piece layers at once, from content when the disk has read it; or refuse."""
        wanted, answers = message.range, self._ready()
        if answers is None or not answers.judge(wanted):
            self._refuse(remote, wanted)
            return
        answer = answers.from_layers(wanted)
        if answer is not None and self._affords(remote, len(answer.hashes)):
            remote.connection.hashes(answer)
            remote.touch()
        elif answer is None and (region := self._readable(answers, remote, wanted)) is not None:
            self._waiting.append((remote, wanted, region))
            self._read_next()
        else:
            self._refuse(remote, wanted)

    def _ready(self) -> HashAnswers | None:
        torrent = self._swarm.torrent
        if (
            self._answers is None
            and torrent is not None
            and torrent.infohash_v2
            and not torrent.missing_layers
        ):
            self._answers = HashAnswers(torrent.files, torrent.piece_layers, torrent.piece_length_bytes)
        return self._answers

    def _readable(self, answers: HashAnswers, remote: Remote, wanted: HashRange) -> Region | None:
        """What to read, if this side has it, the queue has room and the peer has not had its share."""
        content, region = self._swarm.content, answers.region(wanted)
        if content is None or region is None or len(self._waiting) >= MAX_WAITING:
            return None
        if not all(index in content.have for index in region.pieces):
            return None
        return region if self._affords(remote, -(-region.length_bytes // BLOCK_BYTES)) else None

    def _affords(self, remote: Remote, hashes: int) -> bool:
        """Count what is given: an answer is up to 5000 times as long as its request."""
        content = self._swarm.content
        blocks = 0 if content is None else -(-content.torrent.total_bytes // BLOCK_BYTES)
        given = self._given.get(remote, 0) + hashes
        self._given[remote] = given
        return given <= MIN_HASHES_GIVEN + MAX_ROUNDS * blocks

    def _refuse(self, remote: Remote, wanted: HashRange) -> None:
        remote.connection.hashes(HashReject(wanted))
        remote.touch()

    def _read_next(self) -> None:
        content, answers = self._swarm.content, self._answers
        if self._reading or not self._waiting or content is None or answers is None:
            return
        self._reading = True
        remote, wanted, region = self._waiting.popleft()

        def done(answer: Hashes) -> None:
            self._reading = False
            if not remote.closed:
                remote.connection.hashes(answer)
                remote.touch()
            self._read_next()

        read = content.disk.storage.read
        content.disk.ask(lambda: answers.from_content(wanted, region, read), done)
