"""One BitTorrent connection without I/O: bytes in, events out; commands in, bytes out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from btresearch.peer import extension, handshake, wire
from btresearch.peer.bencode import Encodable
from btresearch.peer.bounds import check_block, check_index, text_of
from btresearch.peer.errors import LocalProtocolError, RemoteProtocolError
from btresearch.peer.events import Dropped, Event, ExtensionMessage
from btresearch.peer.extension import ExtensionHandshake
from btresearch.peer.fast import FastPieces
from btresearch.peer.handshake import EXTENDED_BIT, FAST_BIT, HANDSHAKE_BYTES, V2_BIT, Handshake
from btresearch.peer.hashes import Hashes, HashReject, HashRequest
from btresearch.peer.layout import Block, Layout
from btresearch.peer.ledger import Ledger
from btresearch.peer.messages import (
    AllowedFast,
    Bitfield,
    Cancel,
    Choke,
    Extended,
    Have,
    HaveAll,
    HaveNone,
    Interested,
    KeepAlive,
    Message,
    NotInterested,
    Piece,
    Reject,
    Request,
    Suggest,
    Unchoke,
)
from btresearch.peer.pieces import PieceSet
from btresearch.peer.remote import RemotePieces
from btresearch.peer.states import RULES, Phase, violation

__all__ = ["Dropped", "Event", "ExtensionMessage", "MAX_PEER_REQUESTS", "PeerConnection"]

MAX_PEER_REQUESTS = extension.REQUEST_QUEUE
"""Requests of the peer that wait here; more are rejected (BEP 6) or not answered."""

Buffer = bytes | memoryview


class PeerConnection:
    """One connection above a transport. Sans-IO: the caller moves the bytes and owns the clock.

    - `layout` is None while the metadata is unknown (magnet); call `set_layout` when it arrives. What
      the peer says that it has is kept until then and judged at that moment.
    - A responder that serves several torrents passes infohash=None, reads the Handshake event, then calls
      `bind(infohash, layout)` and `handshake()`.
    - `extensions` are the names and ids under which this side wants extension messages (BEP 10).
    - `infohash_v2` are the first 20 bytes of the same torrent's v2 infohash, if it has one: the peer may name
      either, and a responder whose peer knows both answers with it (BEP 52).
    - After every `receive` and every command, write `data_to_send()`: some answers (rejects) are automatic.

    Read-only for the caller: `remote` (the peer's Handshake), `am_choking`, `am_interested`,
    `peer_choking`, `peer_interested`, `peer_requests` (those of the peer that wait, oldest first),
    `peer_extensions` (its name -> id).
    """

    def __init__(
        self,
        *,
        initiator: bool,
        peer_id: bytes,
        infohash: bytes | None,
        infohash_v2: bytes | None = None,
        layout: Layout | None = None,
        extensions: Mapping[bytes, int] | None = None,
        fast: bool = True,
    ) -> None:
        if initiator and infohash is None:
            raise LocalProtocolError("an initiator must know the infohash")
        self.initiator, self.peer_id, self.infohash = initiator, peer_id, infohash
        self.layout: Layout | None = None
        self.remote: Handshake | None = None
        self.am_choking = self.peer_choking = True
        self.am_interested = self.peer_interested = False
        self.peer_requests: dict[Block, None] = {}
        self.peer_extensions: dict[bytes, int] = {}
        self._infohash_v2 = infohash_v2
        self._reserved = (
            (EXTENDED_BIT if extensions is not None else 0)
            | (FAST_BIT if fast else 0)
            | (V2_BIT if infohash_v2 is not None else 0)
        )
        self._extensions = {number: name for name, number in (extensions or {}).items()}
        self._ledger = Ledger()
        self._offered, self._told = PieceSet(0), False
        self._remote_pieces = RemotePieces()
        self._fast = FastPieces()
        self._local_phase = self._remote_phase = Phase.HANDSHAKE
        self._head = bytearray()
        self._framer = wire.Framer()
        self._out: list[Buffer] = []
        if layout is not None:
            self.set_layout(layout)

    @property
    def requested(self) -> dict[Block, None]:
        """Own requests without an answer, oldest first."""
        return self._ledger.waiting

    @property
    def established(self) -> bool:
        """Whether both handshakes have passed."""
        return Phase.HANDSHAKE not in (self._local_phase, self._remote_phase)

    @property
    def fast(self) -> bool:
        """Whether both ends speak BEP 6."""
        return self.remote is not None and self.remote.fast and bool(self._reserved & FAST_BIT)

    @property
    def extended(self) -> bool:
        """Whether both ends speak BEP 10."""
        return self.remote is not None and self.remote.extended and bool(self._reserved & EXTENDED_BIT)

    @property
    def v2(self) -> bool:
        """Whether one end named the v2 infohash: hashes may be asked for (BEP 52)."""
        named = (self.infohash, None if self.remote is None else self.remote.infohash)
        return self.remote is not None and self._infohash_v2 is not None and self._infohash_v2 in named

    @property
    def peer_pieces(self) -> PieceSet | None:
        """What the peer has; None until the layout is known."""
        return self._remote_pieces.known

    @property
    def peer_is_seed(self) -> bool:
        """Whether the peer has everything, as far as can be told."""
        return self._remote_pieces.complete

    @property
    def allowed_while_choked(self) -> frozenset[int]:
        """Pieces that the peer serves even while it chokes (BEP 6), or that it is expected to."""
        return self._fast.open_to_us

    def bind(self, infohash: bytes, layout: Layout | None) -> None:
        """Choose the torrent of a responder that was opened with infohash=None."""
        if self.infohash not in (None, infohash):
            raise LocalProtocolError("the connection belongs to another torrent already")
        self.infohash = infohash
        if layout is not None and self.layout is None:
            self.set_layout(layout)

    def set_layout(self, layout: Layout) -> None:
        """The metadata is here: judge what the peer said that it has. Raises RemoteProtocolError."""
        self.layout = layout
        if not self._offered.piece_count:
            self._offered = PieceSet(layout.piece_count)
        self._remote_pieces.settle(layout.piece_count)

    def receive(self, data: bytes | bytearray | memoryview) -> list[Event]:
        """The events in `data`, which may be cut anywhere.

        A Piece's block is a view of `data` or of a private copy: it stays right for as long as the caller
        does not write over `data`. Raises RemoteProtocolError; the connection is of no use after that.
        """
        events: list[Event] = []
        if self._remote_phase is Phase.HANDSHAKE:
            data = self._receive_handshake(memoryview(data), events)
            if self.remote is None:
                return events
        for message in self._framer.feed(data):
            if type(message) is Piece:
                self._on_piece(message)
                events.append(message)
            else:
                self._judge(type(message))
                self._HANDLERS[type(message)](self, message, events)
        return events

    def data_to_send(self) -> list[Buffer]:
        """The buffers queued since the last call, in order; write them all (writelines, sendmsg)."""
        out, self._out = self._out, []
        return out

    # --- commands: each queues bytes, or raises LocalProtocolError where the state does not allow it

    def handshake(self) -> None:
        """Say which torrent this is about; everything else comes after it."""
        if self._local_phase is not Phase.HANDSHAKE:
            raise LocalProtocolError("the handshake was sent already")
        if self.infohash is None:
            raise LocalProtocolError("no torrent chosen: bind() comes first")
        self._out.append(Handshake(self.infohash, self.peer_id, self._reserved).encode())
        self._local_phase = Phase.FIRST

    def keepalive(self) -> None:
        """Stay connected; due when nothing was sent for two minutes (BEP 3)."""
        self._send(KeepAlive())

    def choke(self) -> None:
        """Stop serving; rejects what the peer still waits for if it speaks BEP 6."""
        if self.am_choking:
            return
        self._send(Choke())
        self.am_choking = True
        for block in [block for block in self.peer_requests if block.index not in self._fast.offered]:
            self._turn_away(block)

    def unchoke(self) -> None:
        """Serve requests from now on."""
        if self.am_choking:
            self._send(Unchoke())
            self.am_choking = False

    def interested(self) -> None:
        """Tell that this side would request if it were unchoked."""
        if not self.am_interested:
            self._send(Interested())
            self.am_interested = True

    def not_interested(self) -> None:
        """Tell that this side wants nothing."""
        if self.am_interested:
            self._send(NotInterested())
            self.am_interested = False

    def pieces(self, have: PieceSet) -> None:
        """Say once, first, what this side has: have_all or have_none with BEP 6, else a bitfield if any.

        After `early_bitfield` it says what is new since.
        """
        if self.remote is None:
            raise LocalProtocolError("the peer's handshake tells how to say it, and has not come yet")
        if self._told:
            for index in [index for index in have if index not in self._offered]:
                self.have(index)
            return
        self._offered = have.copy()
        if self.fast and have.count == 0:
            self._send(HaveNone())
        elif self.fast and have.complete:
            self._send(HaveAll())
        elif have.count:
            self._send(Bitfield(have.pack()))

    def early_bitfield(self, have: PieceSet) -> None:
        """Say what this side has before the peer has spoken, as a bitfield, which any peer understands."""
        if have.count:
            self._send(Bitfield(have.pack()))
            self._offered, self._told = have.copy(), True

    def have(self, index: int) -> None:
        """Piece `index` has been checked and may be requested."""
        self._offered.add(index)
        self._send(Have(index))

    def request(self, *blocks: Block) -> None:
        """Ask for blocks that the peer has; while it chokes, only of `allowed_while_choked`."""
        self._allow(Request)
        for block in blocks:
            self._judge_request(block)
            self._out.append(wire.request(*block))
            self._ledger.add(block)

    def cancel(self, block: Block) -> None:
        """Take a request back; an answer that is on its way already still comes as a Piece event."""
        if self._ledger.take_back(block):
            self._send(Cancel(*block))

    def piece(self, index: int, begin: int, block: Buffer) -> bool:
        """Answer a request, without copying `block`; False, and nothing queued, if it no longer stands."""
        key = Block(index, begin, len(block))
        if key not in self.peer_requests:
            return False
        del self.peer_requests[key]
        self._out.append(wire.piece_header(index, begin, len(block)))
        self._out.append(block)
        return True

    def reject(self, block: Block) -> None:
        """Refuse a request; without BEP 6 it is only forgotten."""
        if block in self.peer_requests:
            self._turn_away(block)

    def suggest(self, index: int) -> None:
        """Advise the peer to ask for piece `index` (BEP 6)."""
        self._send(Suggest(index))

    def allowed_fast(self, index: int) -> None:
        """Serve piece `index` even while choking (BEP 6)."""
        self._send(AllowedFast(index))
        self._fast.offered.add(index)

    def expect_fast(self, indices: Iterable[int]) -> None:
        """Ask for these pieces even while choked, before the peer allows it: it is expected to (BEP 6)."""
        if self.fast:
            self._fast.expect(indices)

    def hashes(self, message: HashRequest | Hashes | HashReject) -> None:
        """Ask for hashes of a file's tree, answer, or refuse (BEP 52)."""
        self._send(message)

    def extended_handshake(self, fields: Mapping[bytes, Encodable]) -> None:
        """Send the BEP 10 handshake; `extension.handshake_fields` builds its dictionary."""
        self._send(Extended(extension.HANDSHAKE_ID, extension.encode_handshake(fields)))

    def extended_message(self, name: bytes, payload: bytes) -> bool:
        """Send an extension message; False, and nothing queued, if the peer does not take that extension."""
        number = self.peer_extensions.get(name, 0)
        if number:
            self._send(Extended(number, payload))
        return number != 0

    # --- the way out

    def _send(self, message: Message) -> None:
        self._allow(type(message))
        self._out.append(wire.encode(message))

    def _allow(self, kind: type) -> None:
        if reason := violation(self._local_phase, kind, self._speaks):
            raise LocalProtocolError(reason)
        self._local_phase = RULES[kind].after or self._local_phase

    def _speaks(self, name: str) -> bool:
        return {"fast": self.fast, "extended": self.extended, "v2": self.v2}[name]

    def _judge_request(self, block: Block) -> None:
        index, pieces = block.index, self._remote_pieces.known
        if self.peer_choking and index not in self._fast.open_to_us:
            raise LocalProtocolError(f"request for piece {index} while choked")
        if block in self._ledger.waiting:
            raise LocalProtocolError(f"{block} was requested already")
        if pieces is None or index not in pieces:
            raise LocalProtocolError(f"the peer does not have piece {index}")

    def _turn_away(self, block: Block) -> None:
        self.peer_requests.pop(block, None)
        if self.fast:
            self._send(Reject(*block))

    # --- the way in

    def _receive_handshake(self, view: memoryview, events: list[Event]) -> memoryview:
        """Take what is missing of the 68 bytes; the rest of `view`."""
        taken = view[: HANDSHAKE_BYTES - len(self._head)]
        self._head += taken
        self.remote = handshake.decode(self._head)
        if self.remote is not None:
            self._judge_handshake(self.remote)
            self._remote_phase = Phase.FIRST
            events.append(self.remote)
        return view[len(taken) :]

    def _judge_handshake(self, remote: Handshake) -> None:
        if self.infohash is not None and remote.infohash not in (self.infohash, self._infohash_v2):
            raise RemoteProtocolError("handshake for another torrent")
        if self._local_phase is Phase.HANDSHAKE and self.infohash is not None:
            self.infohash = self._infohash_v2 if self._upgrades(remote) else remote.infohash
        if remote.peer_id == self.peer_id:
            raise RemoteProtocolError("connected to self: the peer_id is the own one")

    def _upgrades(self, remote: Handshake) -> bool:
        """BEP 52: a peer that named the v1 infohash and set the bit may be answered with that of v2."""
        return self._infohash_v2 is not None and remote.v2

    def _judge(self, kind: type) -> None:
        if reason := violation(self._remote_phase, kind, self._speaks):
            raise RemoteProtocolError(reason)
        self._remote_phase = RULES[kind].after or self._remote_phase

    def _on_piece(self, message: Piece) -> None:
        block = Block(message.index, message.begin, len(message.block))
        if self._ledger.settle(block) is None:
            check_block(self.layout, block)
            raise RemoteProtocolError(f"piece that was not requested: {text_of(block)}")

    def _on_plain(self, message: Message, events: list[Event]) -> None:
        events.append(message)

    def _on_choke(self, message: Choke, events: list[Event]) -> None:
        self.peer_choking = True
        events.append(message)
        if not self.fast and (dropped := self._ledger.take_back_all()):
            events.append(Dropped(dropped))

    def _on_unchoke(self, message: Unchoke, events: list[Event]) -> None:
        self.peer_choking = False
        events.append(message)

    def _on_interested(self, message: Interested, events: list[Event]) -> None:
        self.peer_interested = True
        events.append(message)

    def _on_not_interested(self, message: NotInterested, events: list[Event]) -> None:
        self.peer_interested = False
        events.append(message)

    def _on_have(self, message: Have, events: list[Event]) -> None:
        if self._remote_pieces.add(message.index):
            events.append(message)

    def _on_bitfield(self, message: Bitfield, events: list[Event]) -> None:
        self._remote_pieces.unpack(message.bits)
        events.append(message)

    def _on_have_all(self, message: HaveAll, events: list[Event]) -> None:
        self._remote_pieces.fill()
        events.append(message)

    def _on_request(self, message: Request, events: list[Event]) -> None:
        block = message.block
        check_block(self.layout, block)
        if block in self.peer_requests:
            return
        # a request may have crossed a choke on its way, or be a guess at the set: that is nobody's fault
        if (
            len(self.peer_requests) >= MAX_PEER_REQUESTS
            or self.layout is None
            or (self.am_choking and not self._fast.admit(block))
        ):
            self._turn_away(block)
        elif block.index not in self._offered:
            raise RemoteProtocolError(f"request for a piece that was not offered: {text_of(block)}")
        else:
            self.peer_requests[block] = None
            events.append(message)

    def _on_cancel(self, message: Cancel, events: list[Event]) -> None:
        # BEP 6: a cancelled request must still be answered, by the piece or by a reject
        if message.block in self.peer_requests:
            self._turn_away(message.block)
            events.append(message)

    def _on_reject(self, message: Reject, events: list[Event]) -> None:
        waited = self._ledger.settle(message.block)
        if waited is None:
            raise RemoteProtocolError(f"reject of what was not requested: {text_of(message.block)}")
        if self.peer_choking:
            self._fast.refused(message.index)
        if waited:
            events.append(message)

    def _on_suggest(self, message: Suggest, events: list[Event]) -> None:
        check_index(self.layout, message.index)
        events.append(message)

    def _on_allowed_fast(self, message: AllowedFast, events: list[Event]) -> None:
        check_index(self.layout, message.index)
        if self._fast.grant(message.index):
            events.append(message)

    def _on_extended(self, message: Extended, events: list[Event]) -> None:
        if message.extension == extension.HANDSHAKE_ID:
            hello = extension.decode_handshake(message.payload)
            self._merge_extensions(hello)
            events.append(hello)
        elif name := self._extensions.get(message.extension):
            events.append(ExtensionMessage(name, message.payload))

    def _merge_extensions(self, hello: ExtensionHandshake) -> None:
        """BEP 10: a later handshake adds to an earlier one."""
        self.peer_extensions |= hello.ids
        if len(self.peer_extensions) > extension.MAX_EXTENSIONS:
            raise RemoteProtocolError(f"more than {extension.MAX_EXTENSIONS} extensions named")

    _HANDLERS: Mapping[type, Callable[[PeerConnection, Any, list[Event]], None]] = {
        KeepAlive: _on_plain,
        Choke: _on_choke,
        Unchoke: _on_unchoke,
        Interested: _on_interested,
        NotInterested: _on_not_interested,
        Have: _on_have,
        Bitfield: _on_bitfield,
        HaveAll: _on_have_all,
        HaveNone: _on_plain,
        Request: _on_request,
        Cancel: _on_cancel,
        Suggest: _on_suggest,
        Reject: _on_reject,
        AllowedFast: _on_allowed_fast,
        Extended: _on_extended,
        HashRequest: _on_plain,
        Hashes: _on_plain,
        HashReject: _on_plain,
    }
