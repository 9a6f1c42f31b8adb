"""A whole torrent from one PeerConnection to another, the metadata included."""

from __future__ import annotations

import hashlib
from random import Random

import pytest

from btresearch.peer import (
    Event,
    ExtensionHandshake,
    ExtensionMessage,
    Handshake,
    Layout,
    MetadataFetch,
    PeerConnection,
    Picker,
    PieceSet,
    Torrent,
    extension,
    metadata,
)
from btresearch.peer.messages import Interested, Piece, Reject, Request, Unchoke

CONTENT = Random(1).randbytes(200_001)
PIECE = 32768


def torrent() -> Torrent:
    hashes = b"".join(hashlib.sha1(CONTENT[at : at + PIECE]).digest() for at in range(0, len(CONTENT), PIECE))
    return Torrent.create("content.bin", [((), len(CONTENT))], hashes, piece_length_bytes=PIECE)


class Seed:
    """Serves CONTENT and its metadata."""

    def __init__(self, source: Torrent, **options: bool) -> None:
        self.torrent = source
        self.connection = PeerConnection(
            initiator=False,
            peer_id=b"S" * 20,
            infohash=source.infohash,
            layout=source.layout,
            extensions={metadata.NAME: 2},
            **options,
        )

    def on_event(self, event: Event) -> None:
        connection = self.connection
        match event:
            case Handshake():
                connection.handshake()
                connection.pieces(PieceSet.full(self.torrent.piece_count))
                size = len(self.torrent.info_bytes)
                connection.extended_handshake(
                    extension.handshake_fields({metadata.NAME: 2}, metadata_size=size)
                )
            case Interested():
                connection.unchoke()
            case Request(index, begin, length):
                start = index * PIECE + begin
                assert connection.piece(index, begin, memoryview(CONTENT)[start : start + length])
            case ExtensionMessage(payload=payload):
                request = metadata.decode(payload)
                assert isinstance(request, metadata.MetadataRequest)
                connection.extended_message(metadata.NAME, metadata.answer(self.torrent.info_bytes, request))


class Leech:
    """Knows an infohash only, fetches the metadata and then the content."""

    def __init__(self, infohash: bytes, **options: bool) -> None:
        self.connection = PeerConnection(
            initiator=True, peer_id=b"L" * 20, infohash=infohash, extensions={metadata.NAME: 9}, **options
        )
        self.fetch = MetadataFetch(infohash)
        self.torrent: Torrent | None = None
        self.picker: Picker | None = None
        self.pieces: dict[int, bytearray] = {}
        self.connection.handshake()

    def on_event(self, event: Event) -> None:
        match event:
            case Handshake():
                self.connection.pieces(PieceSet(0))
                self.connection.extended_handshake(extension.handshake_fields({metadata.NAME: 9}))
            case ExtensionHandshake(metadata_size=size):
                assert size is not None
                self.fetch.add_peer("seed", size)
                self._ask_for_metadata()
            case ExtensionMessage(payload=payload):
                info_bytes = self.fetch.receive("seed", payload)
                self._ask_for_metadata()
                if info_bytes is not None:
                    self._begin(Torrent.from_info(info_bytes))
            case Unchoke():
                self._request()
            case Piece(index, begin, block):
                self._keep(index, begin, block)
            case Reject():
                raise AssertionError("nothing is rejected here")

    def _ask_for_metadata(self) -> None:
        for payload in self.fetch.requests("seed"):
            assert self.connection.extended_message(metadata.NAME, payload)

    def _begin(self, found: Torrent) -> None:
        self.torrent = found
        self.connection.set_layout(found.layout)
        assert self.connection.peer_pieces is not None
        self.picker = Picker(found.layout, rng=Random(2))
        self.picker.add_peer("seed", self.connection.peer_pieces)
        self.connection.interested()

    def _request(self) -> None:
        assert self.picker is not None
        for block in self.picker.pick("seed", 4 - len(self.connection.requested)):
            self.connection.request(block)

    def _keep(self, index: int, begin: int, block: bytes | memoryview) -> None:
        assert self.picker is not None
        assert self.torrent is not None
        layout: Layout = self.torrent.layout
        piece = self.pieces.setdefault(index, bytearray(layout.piece_bytes(index)))
        piece[begin : begin + len(block)] = block
        number = begin // 16384
        if self.picker.received("seed", layout.block(index, number)).piece_complete:
            assert self.torrent.piece_hash(index).fits(piece)
            self.picker.passed(index)
            self.connection.have(index)
        self._request()


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_from_an_infohash_to_the_content(fast: bool, seed: int) -> None:
    source = torrent()
    server, client = Seed(source, fast=fast), Leech(source.infohash, fast=fast)
    rng, rounds = Random(seed), 0
    while client.picker is None or not client.picker.complete:
        rounds += 1
        assert rounds < 1000, "the transfer stands still"
        for giver, taker in ((client, server), (server, client)):
            carry(giver, taker, rng)
    assert b"".join(bytes(client.pieces[at]) for at in sorted(client.pieces)) == CONTENT
    carry(client, server, rng)
    assert server.connection.peer_is_seed


def carry(giver: Seed | Leech, taker: Seed | Leech, rng: Random) -> None:
    """What `giver` has queued, cut at random, each part in a buffer that is wiped after use."""
    stream = bytearray(b"".join(giver.connection.data_to_send()))
    while stream:
        cut = rng.randrange(1, len(stream) + 1)
        part = stream[:cut]
        for event in taker.connection.receive(part):
            taker.on_event(event)
        part[:] = bytes(cut)
        del stream[:cut]
