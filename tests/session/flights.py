"""Two sans-IO peers over two transports, with a clock that counts one-way trips."""

from __future__ import annotations

from dataclasses import dataclass, field

from btresearch.peer import BLOCK_BYTES, Layout, PeerConnection, PieceSet, extension, opening
from btresearch.peer.events import Event
from btresearch.peer.handshake import HANDSHAKE_BYTES, Handshake
from btresearch.peer.messages import Bitfield, HaveAll, Piece, Reject, Request
from btresearch.transport import Transport
from tests.transport.pairs import INFOHASH

LAYOUT = Layout(piece_length_bytes=2 * BLOCK_BYTES, total_bytes=200 * 2 * BLOCK_BYTES)
HOSTS = ("198.51.100.7", "203.0.113.9")


@dataclass
class End:
    """One peer; `heard` has the trip in which each kind of event came first."""

    transport: Transport
    connection: PeerConnection
    have: PieceSet
    own_host: str
    peer_host: str
    guesses: bool = True
    unchokes: bool = False
    heard: dict[type, int] = field(default_factory=dict)
    served: int = 0
    _missing: int = HANDSHAKE_BYTES
    _spoke: bool = False

    def start(self) -> bytes:
        return self.transport.start() + self._talk()

    def receive(self, wire: bytes, trip: int) -> bytes:
        app, reply = self.transport.receive(wire)
        if self.transport.ready:
            self._speak()
        head, rest = app[: self._missing], app[self._missing :]
        self._missing -= len(head)
        for part in (head, rest):
            for event in self.connection.receive(part) if part else ():
                self.heard.setdefault(type(event), trip)
                self._react(event)
        return reply + self._talk()

    def _speak(self) -> None:
        speaks_first = self.connection.initiator or self.transport.name.startswith("btls")
        if speaks_first and not self._spoke:
            self._spoke = True
            opening.speak(self.connection, self.have, unchoke=self.unchokes)

    def _react(self, event: Event) -> None:
        connection = self.connection
        if isinstance(event, Handshake):
            fields = extension.handshake_fields({b"ut_metadata": 1})
            opening.answer(connection, self.have, fields, peer_host=self.peer_host)
            if self.guesses and connection.initiator and self.transport.name.startswith("btls"):
                opening.expect(connection, self.own_host)
        elif isinstance(event, Request):
            self.served += connection.piece(event.index, event.begin, bytes(event.length))
        elif isinstance(event, Bitfield | HaveAll) and not self.have.complete:
            connection.interested()
        if self.connection.am_interested and not isinstance(event, Piece | Reject):
            self._ask()

    def _ask(self) -> None:
        free = self.connection.allowed_while_choked if self.connection.peer_choking else range(8)
        for index in sorted(free)[:8]:
            block = LAYOUT.block(index, 0)
            known = self.connection.peer_pieces
            if known is not None and index in known and block not in self.connection.requested:
                self.connection.request(block)

    def _talk(self) -> bytes:
        if not self.transport.ready:
            return b""
        self._speak()
        out = b"".join(self.connection.data_to_send())
        return (self.transport.send(out) if out else b"") + self.transport.flush()


def converse(
    initiator: Transport,
    responder: Transport,
    *,
    seen_as: str = HOSTS[0],
    unchokes: bool = False,
    trips: int = 12,
) -> list[End]:
    """Both ends after so many one-way trips; trip 0 is where the initiator knows that TCP is up.

    `seen_as`: the initiator's address as it knows it itself; the responder sees HOSTS[0].
    """
    ends = [
        End(
            transport,
            PeerConnection(
                initiator=not number,
                peer_id=bytes([65 + number]) * 20,
                infohash=INFOHASH,
                layout=LAYOUT,
                extensions={b"ut_metadata": 1},
            ),
            have=PieceSet.full(LAYOUT.piece_count) if number else PieceSet(LAYOUT.piece_count),
            own_host=HOSTS[1] if number else seen_as,
            peer_host=HOSTS[1 - number],
            unchokes=unchokes,
        )
        for number, transport in enumerate((initiator, responder))
    ]
    flying = [ends[0].start(), ends[1].start()]
    for trip in range(1, trips + 1):
        landing, flying = flying, [b"", b""]
        for number, wire in enumerate(landing):
            if wire:
                flying[1 - number] += ends[1 - number].receive(wire, trip)
    return ends
