"""The peer wire, inside whatever carries it: handshake, messages, extensions, hashes."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from btresearch.peer import (
    Handshake,
    Layout,
    MetadataFetch,
    PeerConnection,
    RemoteProtocolError,
    Torrent,
    extension,
    handshake,
    hashes,
    metadata,
    pex,
    wire,
)
from btresearch.peer.address import Address
from btresearch.peer.handshake import EXTENDED_BIT, FAST_BIT, V2_BIT
from btresearch.peer.hashes import Hashes, HashRange, HashReject, HashRequest
from btresearch.peer.layers_fetch import LayersFetch
from btresearch.peer.messages import (
    AllowedFast,
    Bitfield,
    Cancel,
    Extended,
    Have,
    HaveAll,
    Interested,
    KeepAlive,
    Message,
    Piece,
    Reject,
    Request,
    Suggest,
    Unchoke,
)
from btresearch.peer.metadata import MetadataData, MetadataReject, MetadataRequest
from btresearch.peer.pex import PexDiary
from tests.fuzz.target import Target
from tests.peer.test_hash_answers import PIECE, answer, answers_of, bare, made
from tests.peer.test_metadata import INFO, INFOHASH
from tests.peer.test_pex import MESSAGE

LAYOUT = Layout(32768, 3 * 32768 - 100)
V2 = bytes(range(20, 40))
HELLO = Handshake(INFOHASH, b"p" * 20, EXTENDED_BIT | FAST_BIT | V2_BIT).encode()
EXTENSIONS = {b"ut_metadata": 1, b"ut_pex": 2}
BOTH = extension.encode_handshake(extension.handshake_fields(EXTENSIONS))


def _messages() -> list[bytes]:
    said: list[Message] = [
        KeepAlive(),
        Bitfield(b"\xa0"),
        HaveAll(),
        Have(1),
        Unchoke(),
        Interested(),
        Request(0, 0, 16384),
        Cancel(0, 0, 16384),
        Piece(0, 0, memoryview(b"x" * 100)),
        Reject(0, 0, 16384),
        Suggest(1),
        AllowedFast(2),
        Extended(0, BOTH),
        Extended(1, metadata.encode(MetadataRequest(0))),
        HashRequest(HashRange(b"r" * 32, 0, 0, 2, 0)),
        HashReject(HashRange(b"r" * 32, 0, 0, 2, 0)),
        Hashes(HashRange(b"r" * 32, 0, 0, 2, 0), (b"h" * 32, b"i" * 32)),
    ]
    return [wire.encode(message) for message in said]


def _streams() -> list[bytes]:
    first, *others = _messages()
    return [HELLO + first + b"".join(others[start::3]) for start in range(3)] + [
        HELLO + one for one in others
    ]


def connection(layout: Layout | None, *, initiator: bool) -> Callable[[bytes], None]:
    """A connection that has said its own part; whatever comes, its answers can be written."""

    def run(data: bytes) -> None:
        own = PeerConnection(
            initiator=initiator,
            peer_id=b"o" * 20,
            infohash=INFOHASH,
            infohash_v2=V2,
            layout=layout,
            extensions=EXTENSIONS,
        )
        own.handshake()
        cut = len(data) // 2
        try:
            for part in (data[:cut], data[cut:]):
                own.receive(part)
            if layout is None and own.established:
                own.set_layout(LAYOUT)
        finally:
            assert len(b"".join(own.data_to_send())) < 100_000

    return run


def ut_metadata(data: bytes) -> None:
    """As a request to be answered, and as an answer that was asked for."""
    found = metadata.decode(data)
    if isinstance(found, MetadataRequest):
        metadata.decode(metadata.answer(INFO, found))
    fetch = MetadataFetch(INFOHASH)
    fetch.add_peer("peer", len(INFO))
    fetch.requests("peer")
    assert fetch.receive("peer", data) is None


@cache
def _layered() -> tuple[Torrent, bytes]:
    return made(12 * PIECE + 5, 3 * PIECE)


def hash_request(data: bytes) -> None:
    """A request in the right frame is judged, and answered if it is sensible."""
    torrent, space = _layered()
    found = answer(answers_of(torrent), hashes.pull_request(memoryview(b"\x15" + data)).range, space)
    assert found is None or len(hashes.encode(found)) < 1 << 20


def _hash_requests() -> list[bytes]:
    torrent, _ = _layered()
    asked = LayersFetch(bare(torrent).missing_layers, PIECE)
    asked.add_peer("peer")
    roots = [file.root for file in torrent.files if file.root]
    ranges = [*asked.requests("peer", 0), *(HashRange(root, 0, 0, 4, 3) for root in roots)]
    return [hashes.encode(HashRequest(each))[5:] for each in ranges]


def hash_answer(data: bytes) -> None:
    """An answer to what was asked for."""
    fetch = LayersFetch(bare(_layered()[0]).missing_layers, PIECE)
    fetch.add_peer("peer")
    fetch.requests("peer", 0)
    fetch.received("peer", hashes.pull_hashes(memoryview(b"\x16" + data)))


def _hash_answers() -> list[bytes]:
    torrent, space = _layered()
    fetch = LayersFetch(bare(torrent).missing_layers, PIECE)
    fetch.add_peer("peer")
    found = [answer(answers_of(torrent), each, space) for each in fetch.requests("peer", 0)]
    return [hashes.encode(each)[5:] for each in found if each is not None]


def peers(data: bytes) -> None:
    """What a peer names becomes what is known, and can be passed on."""
    for peer in PexDiary().take(0, data).added:
        pex.encode(pex.PexMessage((peer,)))
        assert 0 < peer.known.address.port < 1 << 16


_ERRORS = (RemoteProtocolError,)

TARGETS = {
    "handshake": Target(handshake.decode, lambda: [HELLO, HELLO[:40]], _ERRORS),
    "message": Target(
        lambda data: wire.decode(memoryview(data)), lambda: [m[4:] for m in _messages()[1:]], _ERRORS
    ),
    "framer": Target(
        lambda data: wire.Framer().feed(data), lambda: [b"".join(_messages()), *_messages()], _ERRORS
    ),
    "connection_in": Target(connection(LAYOUT, initiator=False), _streams, _ERRORS),
    "connection_out": Target(connection(LAYOUT, initiator=True), _streams, _ERRORS),
    "connection_magnet": Target(connection(None, initiator=True), _streams, _ERRORS),
    "extension_handshake": Target(
        extension.decode_handshake,
        lambda: [
            BOTH,
            b"d1:md11:ut_metadatai3ee13:metadata_sizei51200e1:pi6881e4:reqqi9e1:v3:x y6:yourip4:\1\2\3\4e",
        ],
        _ERRORS,
    ),
    "ut_metadata": Target(
        ut_metadata,
        lambda: [
            metadata.encode(MetadataRequest(0)),
            metadata.encode(MetadataReject(1)),
            metadata.encode(MetadataData(0, len(INFO), INFO[:16384])),
        ],
        _ERRORS,
    ),
    "pex": Target(peers, lambda: [pex.encode(MESSAGE)], _ERRORS),
    "hash_request": Target(hash_request, _hash_requests, _ERRORS),
    "hash_answer": Target(hash_answer, _hash_answers, _ERRORS),
    "address": Target(
        lambda data: Address.parse(data.decode("latin-1")),
        lambda: [b"192.0.2.1:6881", b"[2001:db8::1]:1"],
        (ValueError,),
    ),
}
