"""Metadata from peers, BEP 9 (ut_metadata): the info dictionary in pieces of 16 KiB."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable
from dataclasses import dataclass, field

from btresearch.errors import InputError
from btresearch.peer import bencode
from btresearch.peer.errors import RemoteProtocolError
from btresearch.peer.info import MAX_INFO_BYTES

NAME = b"ut_metadata"
METADATA_PIECE_BYTES = 16 * 1024
METADATA_MAX_BYTES = MAX_INFO_BYTES
MAX_SIZES = 4
"""Sizes whose peers share the work; a peer with yet another one works alone, so that liars block nobody."""
PIPELINE = 4
"""Requests open at one peer."""
REQUEST, DATA, REJECT = 0, 1, 2
_SHA1_BYTES = 20


@dataclass(frozen=True, slots=True)
class MetadataRequest:
    """msg_type 0: the sender wants `piece`."""

    piece: int


@dataclass(frozen=True, slots=True)
class MetadataData:
    """msg_type 1: `piece` of a dictionary that is `total_size_bytes` long."""

    piece: int
    total_size_bytes: int
    data: bytes


@dataclass(frozen=True, slots=True)
class MetadataReject:
    """msg_type 2: the sender has not got `piece` (or has sent enough)."""

    piece: int


MetadataMessage = MetadataRequest | MetadataData | MetadataReject


def encode(message: MetadataMessage) -> bytes:
    """The payload of an extended message."""
    match message:
        case MetadataRequest(piece):
            return bencode.encode({b"msg_type": REQUEST, b"piece": piece})
        case MetadataReject(piece):
            return bencode.encode({b"msg_type": REJECT, b"piece": piece})
        case MetadataData(piece, total_size_bytes, data):
            head = {b"msg_type": DATA, b"piece": piece, b"total_size": total_size_bytes}
            return bencode.encode(head) + data


def decode(payload: bytes) -> MetadataMessage | None:
    """Read a payload; None for an unknown msg_type, which BEP 9 has ignored. Raises RemoteProtocolError."""
    try:
        head, end = bencode.decode_prefix(payload, source="ut_metadata message")
    except InputError as error:
        raise RemoteProtocolError(str(error)) from error
    if not isinstance(head, dict) or not isinstance(piece := head.get(b"piece"), int) or piece < 0:
        raise RemoteProtocolError("ut_metadata message without a piece number")
    match head.get(b"msg_type"):
        case 0:
            return MetadataRequest(piece)
        case 1:
            return _data(piece, head.get(b"total_size"), payload[end:])
        case 2:
            return MetadataReject(piece)
        case _:
            return None


def _data(piece: int, total_size: object, data: bytes) -> MetadataData:
    if not isinstance(total_size, int) or not 0 < total_size <= METADATA_MAX_BYTES:
        raise RemoteProtocolError(f"ut_metadata total_size {total_size!r:.30}, over 1..{METADATA_MAX_BYTES}")
    if len(data) != _piece_bytes(total_size, piece):
        raise RemoteProtocolError(f"ut_metadata piece {piece} of {len(data)} bytes in {total_size}")
    return MetadataData(piece, total_size, data)


def answer(info_bytes: bytes | None, request: MetadataRequest) -> bytes:
    """The payload that answers a request: the data, or a reject if there is none here."""
    start = request.piece * METADATA_PIECE_BYTES
    if info_bytes is None or start >= len(info_bytes):
        return encode(MetadataReject(request.piece))
    data = info_bytes[start : start + METADATA_PIECE_BYTES]
    return encode(MetadataData(request.piece, len(info_bytes), data))


def _hash_like(infohash: bytes, info_bytes: bytes) -> bytes:
    """SHA-1 or SHA-256, whichever made `infohash`, told by its length."""
    if len(infohash) == _SHA1_BYTES:
        return hashlib.sha1(info_bytes, usedforsecurity=False).digest()
    return hashlib.sha256(info_bytes).digest()


def _piece_bytes(size_bytes: int, piece: int) -> int:
    return max(0, min(METADATA_PIECE_BYTES, size_bytes - piece * METADATA_PIECE_BYTES))


@dataclass(slots=True)
class _Attempt:
    """One try at a dictionary of a given size; `senders` are all who contributed."""

    size_bytes: int
    pieces: dict[int, bytes] = field(default_factory=dict)
    senders: set[Hashable] = field(default_factory=set)

    @property
    def count(self) -> int:
        return -(-self.size_bytes // METADATA_PIECE_BYTES)


@dataclass(slots=True)
class _Source:
    attempt: _Attempt
    open: set[int] = field(default_factory=set)
    refuses: bool = False


class MetadataFetch:
    """Collects the info dictionary from several peers until it has the infohash, of v1 or of v2 (BEP 52).

    Where both are given, both must hold.

    Peers that give the same size share the work. If what they made together has the wrong hash, each of
    them goes on alone, so that a liar fails alone.
    """

    def __init__(self, *infohashes: bytes) -> None:
        self._infohashes = infohashes
        self._sources: dict[Hashable, _Source] = {}
        self._shared: dict[int, _Attempt] = {}
        self._spoilt: set[int] = set()

    def add_peer(self, peer: Hashable, size_bytes: int) -> None:
        """`size_bytes` as the peer's extension handshake says. Raises RemoteProtocolError if over 16 MiB."""
        if not 0 < size_bytes <= METADATA_MAX_BYTES:
            raise RemoteProtocolError(f"metadata_size {size_bytes} is over {METADATA_MAX_BYTES} bytes")
        if peer in self._sources:
            return
        attempt = _Attempt(size_bytes)
        if size_bytes not in self._spoilt and (size_bytes in self._shared or len(self._shared) < MAX_SIZES):
            attempt = self._shared.setdefault(size_bytes, attempt)
        self._sources[peer] = _Source(attempt)

    def remove_peer(self, peer: Hashable) -> None:
        """Its open requests are given to others."""
        self._sources.pop(peer, None)

    def requests(self, peer: Hashable) -> list[bytes]:
        """Payloads to send to `peer` now; call again after `add_peer`, `receive` and `remove_peer`."""
        source = self._sources.get(peer)
        if source is None or source.refuses:
            return []
        chosen = self._wanted(source)[: PIPELINE - len(source.open)]
        source.open.update(chosen)
        return [encode(MetadataRequest(piece)) for piece in chosen]

    def receive(self, peer: Hashable, payload: bytes) -> bytes | None:
        """Take a data or reject payload; the info dictionary once it is whole and its hash is right.

        Requests are none of this object's business and ignored. Raises RemoteProtocolError for a peer
        that sends nonsense, what it was not asked for, or, alone, a dictionary with the wrong hash.
        """
        message, source = decode(payload), self._sources.get(peer)
        if source is None or message is None or isinstance(message, MetadataRequest):
            return None
        if message.piece not in source.open:
            raise RemoteProtocolError(f"ut_metadata piece {message.piece} was not asked for")
        source.open.discard(message.piece)
        if isinstance(message, MetadataReject):
            source.refuses = True
            return None
        return self._keep(peer, source.attempt, message)

    def _keep(self, peer: Hashable, attempt: _Attempt, message: MetadataData) -> bytes | None:
        if message.total_size_bytes != attempt.size_bytes:
            raise RemoteProtocolError(
                f"ut_metadata total_size {message.total_size_bytes}, not {attempt.size_bytes} as announced"
            )
        if message.piece not in attempt.pieces:
            attempt.pieces[message.piece] = message.data
            attempt.senders.add(peer)
        if len(attempt.pieces) < attempt.count:
            return None
        info_bytes = b"".join(attempt.pieces[piece] for piece in range(attempt.count))
        if all(_hash_like(infohash, info_bytes) == infohash for infohash in self._infohashes):
            return info_bytes
        self._spoil(peer, attempt)
        return None

    def _spoil(self, peer: Hashable, attempt: _Attempt) -> None:
        alone = attempt.senders == {peer}
        attempt.pieces.clear()
        attempt.senders.clear()
        if alone:
            raise RemoteProtocolError("metadata with the wrong hash")
        self._spoilt.add(attempt.size_bytes)
        for source in self._sources.values():
            if source.attempt is attempt:
                # what is still open will be answered, into the new attempt
                source.attempt = _Attempt(attempt.size_bytes)

    def _wanted(self, source: _Source) -> list[int]:
        """Pieces to ask this peer for: unasked ones, or, if there are none, those that others sit on."""
        attempt = source.attempt
        missing = [piece for piece in range(attempt.count) if piece not in attempt.pieces]
        asked = {
            piece for other in self._sources.values() if other.attempt is attempt for piece in other.open
        }
        return [p for p in missing if p not in asked] or [p for p in missing if p not in source.open]
