"""One peer of a swarm: joins a link to a `PeerConnection`, asks for blocks, serves what is asked."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from btresearch.peer import extension, metadata, opening, pex
from btresearch.peer.address import Address
from btresearch.peer.bencode import Encodable
from btresearch.peer.choker import REGULAR_SLOTS, Candidate
from btresearch.peer.connection import Dropped, Event, ExtensionMessage, PeerConnection
from btresearch.peer.errors import LocalProtocolError, RemoteProtocolError
from btresearch.peer.extension import ExtensionHandshake
from btresearch.peer.handshake import HANDSHAKE_BYTES, Handshake
from btresearch.peer.hashes import Hashes, HashReject, HashRequest
from btresearch.peer.layout import Block
from btresearch.peer.messages import (
    Bitfield,
    Have,
    HaveAll,
    Interested,
    NotInterested,
    Piece,
    Reject,
)
from btresearch.peer.requester import Requester
from btresearch.session import twins
from btresearch.session.errors import StorageError
from btresearch.session.link import Link
from btresearch.session.peer_exchange import PeerExchange
from btresearch.session.rates import NS_PER_S, RateMeter
from btresearch.session.serving import Serving

if TYPE_CHECKING:
    from btresearch.session.swarm import Swarm

HANDSHAKE_LIMIT_NS = 20 * NS_PER_S
IDLE_LIMIT_NS = 150 * NS_PER_S  # BEP 3: keep-alives every two minutes
KEEPALIVE_NS = 100 * NS_PER_S
BLOCK_HEADER_BYTES = 13  # BEP 3: length, id 7, index, begin
MAX_METADATA_ROUNDS = 3  # one that nobody disturbs takes one
PRIVATE_EXTENSIONS = {metadata.NAME: 1}
EXTENSIONS = PRIVATE_EXTENSIONS | {pex.NAME: 2}

log = logging.getLogger(__name__)


class Remote:
    """Owner of one link. The swarm reads `down`, `up`, `connection`; everything else is its own business."""

    def __init__(self, swarm: Swarm, connection: PeerConnection, address: Address) -> None:
        now_ns = swarm.node.now_ns()
        self.swarm, self.connection, self.address = swarm, connection, address
        self.down, self.up = RateMeter(now_ns), RateMeter(now_ns)
        self.link: Link | None = None
        self.snubbed = False
        self.closed = False
        self.listens_at: Address | None = address if connection.initiator else None
        self.exchange = PeerExchange(self)
        self._in_picker = False
        self._handshake_missing = HANDSHAKE_BYTES
        self._requester = Requester(now_ns=now_ns)
        self._born_ns = self._spoke_ns = now_ns
        self._scheduled = False
        self._loop = asyncio.get_running_loop()
        self._serving = Serving(self)
        self._metadata_asked = 0
        self._was_ready = False

    def __str__(self) -> str:
        return str(self.address)

    # Owner of the link

    def on_ready(self) -> None:
        """The transport is through: an initiator, or a responder whose torrent is proven, speaks."""
        self._was_ready = True
        if self.connection.initiator and self._over_btls:
            self.swarm.node.tls_memory.speaks(self.address)
        opening.speak(self.connection, self.swarm.have, unchoke=self._slot_is_free)
        if self.connection.initiator and self._over_btls:
            self.touch()  # its handshake follows in the same read: one record answers it all
        else:
            self.pump()

    def on_data(self, data: bytes) -> None:
        """Bytes from the peer."""
        if self._handshake_missing:
            # On its own: what follows in the same read may only be answered after our own handshake.
            head, data = data[: self._handshake_missing], data[self._handshake_missing :]
            self._handshake_missing -= len(head)
            self._feed(head, last=not (data and self._over_btls))
        if data and not self.closed:
            self._feed(data)

    def on_writable(self) -> None:
        """The socket has room."""
        self.pump()

    def on_lost(self, reason: str) -> None:
        """The link is gone."""
        self.closed = True
        self.swarm.lost(self, reason)

    def _feed(self, data: bytes, *, last: bool = True) -> None:
        try:
            events = self.connection.receive(data)
        except RemoteProtocolError as error:
            self.swarm.drop(self, f"broke the protocol: {error}", fault=True)
            return
        try:
            self._react(events)
        except LocalProtocolError as error:
            self.swarm.drop(self, f"own fault: {error}", fault=False)
        if last and not self.closed:
            self.pump()

    def _react(self, events: list[Event]) -> None:
        self._count([len(event.block) for event in events if type(event) is Piece])
        for event in events:
            handler = self._HANDLERS.get(type(event))
            if handler is not None:
                handler(self, event)
            if self.closed:
                return

    # for the swarm

    def touch(self, after_s: float = 0.0) -> None:
        """Have `pump` run soon (or `after_s`), once, however often this is called before."""
        if not self._scheduled and not self.closed:
            self._scheduled = True
            self._loop.call_later(after_s, self.pump) if after_s else self._loop.call_soon(self.pump)

    def spoke(self, now_ns: int) -> None:
        """Something was sent: no keep-alive is due for a while."""
        self._spoke_ns = now_ns

    def pump(self) -> None:
        """Ask for more, send what is queued, serve what is asked; the shape flushes when nothing is left."""
        self._scheduled = False
        link = self.link
        if self.closed or link is None or not link.transport.ready:
            return
        try:
            self._ask()
            self.speak(link)
            if self._serving.go(link):
                link.flush()
        except LocalProtocolError as error:
            self.swarm.drop(self, f"own fault: {error}", fault=False)
        except StorageError as error:
            self.swarm.fail(error)

    def open(self) -> None:
        """The torrent is known now."""
        layout = self.swarm.layout
        if layout is None:
            return
        try:
            if self.connection.layout is None:
                self.connection.set_layout(layout)
                if self.connection.established:
                    for index in self.swarm.have:
                        self.connection.have(index)
        except RemoteProtocolError as error:
            self.swarm.drop(self, f"broke the protocol: {error}", fault=True)
            return
        self._learn_pieces()
        self.touch()

    def update_interest(self) -> None:
        """Say interested or not, if that changed."""
        if not self.connection.established:
            return
        content = self.swarm.content
        wanted = content is not None and content.picker.interesting(self)
        if wanted and not self.connection.am_interested:
            self.connection.interested()
            self.touch()
        elif not wanted and self.connection.am_interested:
            self.connection.not_interested()
            self.touch()

    def announce_piece(self, index: int) -> None:
        """A piece is here: tell the peer, unless it has it."""
        pieces = self.connection.peer_pieces
        if self.connection.established and (pieces is None or index not in pieces):
            self.connection.have(index)
            self.touch()

    def cancel(self, block: Block) -> None:
        """Another peer was faster."""
        if block in self.connection.requested:
            self.connection.cancel(block)
            self._requester.dropped()
            self.touch()

    def may_ask_metadata(self, info_bytes: int) -> bool:
        """Count a request for a piece of the metadata; False for more than a few rounds of it."""
        self._metadata_asked += 1
        pieces = -(-info_bytes // metadata.METADATA_PIECE_BYTES)
        return self._metadata_asked <= MAX_METADATA_ROUNDS * pieces

    def set_choked(self, choked: bool) -> None:
        """What the choker decided."""
        if not self.connection.established:
            return
        if choked != self.connection.am_choking:
            (self.connection.choke if choked else self.connection.unchoke)()
            self.touch()

    def candidate(self) -> Candidate:
        """How the choker sees this peer."""
        return Candidate(
            peer=self,
            interested=self.connection.peer_interested,
            download_rate=self.down.bytes_per_s,
            upload_rate=self.up.bytes_per_s,
            snubbed=self.snubbed,
        )

    def tick(self, now_ns: int) -> None:
        """Once a second: rates, silence, keep-alive."""
        self.down.tick(now_ns)
        self.up.tick(now_ns)
        heard_ns = self._born_ns if self.link is None else max(self._born_ns, self.link.heard_ns)
        if not self.connection.established and now_ns - self._born_ns > HANDSHAKE_LIMIT_NS:
            self.swarm.drop(self, "no handshake in time", fault=False)
        elif now_ns - heard_ns > IDLE_LIMIT_NS:
            self.swarm.drop(self, "silent for too long", fault=False)
        elif self.connection.established:
            if self._both_have_everything():
                self.swarm.drop(self, "both have everything", fault=False)
                return
            self._check_snub(now_ns)
            self.exchange.tick(now_ns)
            if now_ns - self._spoke_ns > KEEPALIVE_NS:
                self._spoke_ns = now_ns
                self.connection.keepalive()
            self.touch()

    def close(self, reason: str) -> None:
        """Hang up in order."""
        self.closed = True
        if self.link is not None:
            self.link.owner = None
            self.link.close(reason)

    def speak(self, link: Link) -> None:
        """Send what is queued: in one piece, unless the shape `none` is to show what a naive client sends."""
        buffers = self.connection.data_to_send()
        if link.coalesces:
            link.send(buffers)
        else:
            for message in _messages(buffers):
                link.send(message)

    # asking

    def _ask(self) -> None:
        connection, content = self.connection, self.swarm.content
        if content is None or not self._in_picker or not connection.am_interested or content.behind:
            return
        only = content.only_started
        if connection.peer_choking:
            allowed = connection.allowed_while_choked
            only = allowed if only is None else only & allowed
        if only is not None and not only:
            return
        room = self._requester.room()
        if room <= 0:
            return
        blocks = content.picker.pick(self, room, only=only)
        if blocks:
            connection.request(*blocks)
            self._requester.sent(self.swarm.node.now_ns(), len(blocks))

    def _both_have_everything(self) -> bool:
        content, connection = self.swarm.content, self.connection
        return (
            content is not None
            and content.complete
            and connection.peer_is_seed
            and not connection.peer_requests
        )

    def _check_snub(self, now_ns: int) -> None:
        self.snubbed = self._requester.snubbed(now_ns)
        if self.snubbed and self.connection.requested:
            log.info("%s: stalled with %d requests open", self, len(self.connection.requested))
            blocks = list(self.connection.requested)
            for block in blocks:
                self.connection.cancel(block)
            self._give_back(blocks)

    # reacting

    def _on_handshake(self, event: Handshake) -> None:
        refusal = self.swarm.refuse(self, event)
        if refusal:
            self.swarm.drop(self, refusal, fault=False)
            return
        opening.answer(
            self.connection, self.swarm.have, self._extension_fields(), peer_host=self.address.host
        )
        if self.connection.initiator and self._over_btls:
            opening.expect(self.connection, self._own_host)
        self.swarm.established(self)

    @property
    def _slot_is_free(self) -> bool:
        """Whether the choker would unchoke one more; it decides anew as soon as anyone's interest changes."""
        return sum(not remote.connection.am_choking for remote in self.swarm.remotes) < REGULAR_SLOTS

    @property
    def _over_btls(self) -> bool:
        return self.link is not None and self.link.transport.name.startswith("btls")

    @property
    def failed_tls(self) -> bool:
        """Whether this was a dial over btls that got through to nobody who spoke it."""
        reached = self.link is not None and self.link.connected
        return self.connection.initiator and self._over_btls and reached and not self._was_ready

    @property
    def _own_host(self) -> str:
        own = "" if self.link is None else self.link.local_host
        return opening.seen_as(own, self.address.host, self.swarm.external_host)

    def _extension_fields(self) -> Mapping[bytes, Encodable]:
        torrent = self.swarm.torrent
        name = "" if self.link is None else self.link.transport.name
        return extension.handshake_fields(
            self.swarm.extensions,
            metadata_size=None if torrent is None else len(torrent.info_bytes),
            # Over btls nothing in it may tell the clients apart (protocol.md, step 5).
            client=None if name.startswith("btls") else self.swarm.node.client_name,
            tls=not name.startswith("btls") and self.swarm.policy.tls != "never",
            port=self.swarm.node.port_of(self.swarm.infohash) if self.connection.initiator else None,
        )

    def _on_piece(self, event: Piece) -> None:
        content = self.swarm.content
        if content is None:
            return
        for other in content.received(self, event):
            if isinstance(other, Remote):
                other.cancel(Block(event.index, event.begin, len(event.block)))

    def _count(self, lengths: list[int]) -> None:
        """The blocks of one read."""
        if not lengths:
            return
        now_ns, length = self.swarm.node.now_ns(), sum(lengths)
        self.down.total_bytes += length
        self.swarm.count_download(length, now_ns)
        self._requester.received(now_ns, length, len(lengths))

    def _learn_pieces(self) -> None:
        content, pieces = self.swarm.content, self.connection.peer_pieces
        if content is not None and pieces is not None:
            content.picker.add_peer(self, pieces)
            self._in_picker = True
            self.update_interest()

    def _on_pieces_known(self, event: Event) -> None:
        self._learn_pieces()

    def _on_have(self, event: Have) -> None:
        content = self.swarm.content
        if content is None:
            return
        if self._in_picker:
            content.picker.peer_has(self, event.index)
            self.update_interest()
        else:
            self._learn_pieces()

    def _give_back(self, blocks: list[Block]) -> None:
        """These will not be answered: others may be asked."""
        content = self.swarm.content
        if content is not None:
            for block in blocks:
                content.picker.dropped(self, block)
        self._requester.dropped(len(blocks))
        self.swarm.touch_all()

    def _on_dropped(self, event: Dropped) -> None:
        self._give_back(list(event.blocks))

    def _on_reject(self, event: Reject) -> None:
        self._give_back([event.block])

    def _on_interest(self, event: Interested | NotInterested) -> None:
        self.swarm.rechoke_soon()

    def _on_extension_handshake(self, event: ExtensionHandshake) -> None:
        self.exchange.heard(event)
        self._locate(event)
        if event.request_queue is not None:
            self._requester.limit_to(event.request_queue)
        if event.metadata_size is not None and metadata.NAME in event.ids:
            self.swarm.metadata_exchange.offered(self, event.metadata_size)

    def _locate(self, event: ExtensionHandshake) -> None:
        # Once: who names one port after the other would pass for as many peers.
        self.listens_at = self.listens_at or twins.listening_address(self, event.port)
        if self.listens_at is not None and event.tls:
            memory = self.swarm.node.tls_memory
            (memory.speaks if self.connection.initiator else memory.heard)(self.listens_at)
        if self._over_btls and self.listens_at is not None:
            self.swarm.listening(self)

    def _on_extension_message(self, event: ExtensionMessage) -> None:
        if event.name == metadata.NAME:
            self.swarm.metadata_exchange.message(self, event.payload)
        elif event.name == pex.NAME:
            self._on_pex(event.payload)

    def _on_pex(self, payload: bytes) -> None:
        try:
            self.exchange.receive(self.swarm.node.now_ns(), payload)
        except RemoteProtocolError as error:
            self.swarm.drop(self, f"broke the protocol: {error}", fault=True)

    def _on_hash_request(self, event: HashRequest) -> None:
        self.swarm.hash_exchange.on_request(self, event)

    def _on_hashes(self, event: Hashes) -> None:
        self.swarm.hash_exchange.on_hashes(self, event)

    def _on_hash_reject(self, event: HashReject) -> None:
        self.swarm.hash_exchange.on_reject(self, event)

    _HANDLERS: Mapping[type, Callable[[Remote, Any], None]] = {
        Handshake: _on_handshake,
        Piece: _on_piece,
        Bitfield: _on_pieces_known,
        HaveAll: _on_pieces_known,
        Have: _on_have,
        Dropped: _on_dropped,
        Reject: _on_reject,
        Interested: _on_interest,
        NotInterested: _on_interest,
        ExtensionHandshake: _on_extension_handshake,
        ExtensionMessage: _on_extension_message,
        HashRequest: _on_hash_request,
        Hashes: _on_hashes,
        HashReject: _on_hash_reject,
    }


def _messages(buffers: Sequence[bytes | memoryview]) -> Iterator[Sequence[bytes | memoryview]]:
    """One list per message: a block goes with the header before it."""
    pending: list[bytes | memoryview] = []
    for buffer in buffers:
        pending.append(buffer)
        is_header = len(buffer) == BLOCK_HEADER_BYTES and buffer[4] == Piece.id and len(pending) == 1
        if not is_header:
            yield pending
            pending = []
