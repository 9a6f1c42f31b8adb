"""One BitTorrent connection without I/O: bytes in, events out; commands in, bytes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from btresearch.peer.handshake import Handshake
from btresearch.peer.layout import Block, Layout
from btresearch.peer.messages import Message
from btresearch.peer.pieces import PieceSet


@dataclass(frozen=True, slots=True)
class Dropped:
    """Own requests that will not be answered (the peer choked and does not speak BEP 6): pick them anew."""

    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class ExtensionHandshake:
    """The peer's BEP 10 handshake: `ids` maps an extension's name to the id that the peer wants to see."""

    ids: Mapping[bytes, int]
    metadata_size: int | None
    request_queue: int | None
    fields: Mapping[bytes, object]


@dataclass(frozen=True, slots=True)
class ExtensionMessage:
    """A message of an extension that `extensions` names, e.g. `name` = b"ut_metadata"."""

    name: bytes
    payload: bytes


Event = Handshake | Dropped | ExtensionHandshake | ExtensionMessage | Message


class PeerConnection:
    """One connection above a transport. Sans-IO: the caller moves the bytes and owns the clock.

    - `layout` is None while the metadata is unknown (magnet); call `set_layout` when it arrives. What
      the peer said it has until then is kept and judged at that moment.
    - A responder that serves several torrents passes infohash=None, reads the Handshake event, then calls
      `bind(infohash, layout)` and `handshake()`.
    - After every `receive` and every command, write `data_to_send()`.
    """

    def __init__(
        self,
        *,
        initiator: bool,
        peer_id: bytes,
        infohash: bytes | None,
        layout: Layout | None = None,
        extensions: Mapping[bytes, int] | None = None,
        fast: bool = True,
    ) -> None: ...

    # what is known of both ends, for the caller to read
    initiator: bool
    peer_id: bytes
    infohash: bytes | None
    remote: Handshake | None  # the peer's handshake
    am_choking: bool
    am_interested: bool
    peer_choking: bool
    peer_interested: bool
    peer_pieces: PieceSet | None  # None until the layout is known
    requested: dict[Block, None]  # own requests without an answer, in order of sending
    peer_requests: dict[Block, None]  # the peer's requests without an answer, in order of arrival

    @property
    def established(self) -> bool:
        """Whether both handshakes have passed."""

    @property
    def fast(self) -> bool:
        """Whether both ends speak BEP 6."""

    @property
    def extended(self) -> bool:
        """Whether both ends speak BEP 10."""

    @property
    def peer_is_seed(self) -> bool: ...

    def bind(self, infohash: bytes, layout: Layout | None) -> None:
        """Choose the torrent of a responder that was opened with infohash=None."""

    def set_layout(self, layout: Layout) -> None:
        """Metadata has arrived: judge and keep what the peer said it has. Raises RemoteProtocolError."""

    def receive(self, data: bytes | memoryview) -> list[Event]:
        """Events in `data`; a Piece's block is a view of `data`. Raises RemoteProtocolError."""

    def data_to_send(self) -> list[bytes | memoryview]:
        """The buffers queued since the last call, in order; write them all (writelines, sendmsg)."""

    # commands: each queues bytes; LocalProtocolError where the state does not allow it
    def handshake(self) -> None: ...
    def keepalive(self) -> None: ...
    def choke(self) -> None:
        """Also rejects what the peer has asked for and not got (BEP 6)."""

    def unchoke(self) -> None: ...
    def interested(self) -> None: ...
    def not_interested(self) -> None: ...
    def have(self, index: int) -> None: ...
    def pieces(self, have: PieceSet) -> None:
        """The first message: have_all / have_none where BEP 6 is spoken, else a bitfield (or nothing)."""

    def request(self, block: Block) -> None: ...
    def cancel(self, block: Block) -> None: ...
    def piece(self, index: int, begin: int, block: bytes | memoryview) -> bool:
        """Answer a request without copying the block; False, nothing queued, if it was cancelled since."""

    def reject(self, block: Block) -> None: ...
    def suggest(self, index: int) -> None: ...
    def allowed_fast(self, index: int) -> None: ...
    def extended_handshake(self, fields: Mapping[bytes, object]) -> None:
        """Send a BEP 10 handshake, see extension.handshake_fields(...)."""

    def extended_message(self, name: bytes, payload: bytes) -> bool:
        """Send an extension message; False if the peer has not named that extension."""
