"""Messages on the wire: known bytes, every cut, bounds."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.peer import wire
from btresearch.peer.errors import RemoteProtocolError
from btresearch.peer.hashes import Hashes, HashRange, HashReject, HashRequest
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

RANGE = HashRange(b"r" * 32, 1, 4, 2, 2)
RANGE_HEX = "72" * 32 + "00000001" + "00000004" + "00000002" + "00000002"

HASHES = tuple(letter * 32 for letter in (b"a", b"b", b"c", b"d"))

# ids and field order: BEP 3 "peer messages", BEP 6, BEP 10, BEP 52
VECTORS: list[tuple[Message, str]] = [
    (KeepAlive(), "00000000"),
    (Choke(), "0000000100"),
    (Unchoke(), "0000000101"),
    (Interested(), "0000000102"),
    (NotInterested(), "0000000103"),
    (Have(1), "000000050400000001"),
    (Bitfield(b"\xa0"), "0000000205a0"),
    (Request(1, 2, 16384), "0000000d06000000010000000200004000"),
    (Piece(1, 2, b"xyz"), "0000000c07000000010000000278797a"),
    (Cancel(1, 2, 16384), "0000000d08000000010000000200004000"),
    (Suggest(3), "000000050d00000003"),
    (HaveAll(), "000000010e"),
    (HaveNone(), "000000010f"),
    (Reject(1, 2, 16384), "0000000d10000000010000000200004000"),
    (AllowedFast(3), "000000051100000003"),
    (Extended(2, b"hi"), "0000000414026869"),
    (HashRequest(RANGE), "0000003115" + RANGE_HEX),
    # two hashes, and an uncle for each of two proof layers: log2(2) - 1 = 0 are left out
    (Hashes(RANGE, HASHES), "000000b116" + RANGE_HEX + b"".join(HASHES).hex()),
    (HashReject(RANGE), "0000003117" + RANGE_HEX),
]

number = st.integers(0, 2**32 - 1)
messages = st.one_of(
    st.sampled_from([message for message, _ in VECTORS]),
    st.builds(Have, number),
    st.builds(Request, number, number, number),
    st.builds(Piece, number, number, st.binary(max_size=300)),
    st.builds(Bitfield, st.binary(max_size=40)),
    st.builds(Extended, st.integers(0, 255), st.binary(max_size=40)),
)


def feed(stream: bytes, cuts: list[int]) -> list[Message]:
    """Feed `stream` cut at `cuts`, each chunk in a buffer of its own."""
    framer, found, start = wire.Framer(), [], 0
    for cut in [*sorted(cuts), len(stream)]:
        found += framer.feed(bytes(bytearray(stream[start:cut])))
        start = cut
    return found


@pytest.mark.parametrize(("message", "encoded"), VECTORS, ids=lambda value: type(value).__name__)
def test_vectors(message: Message, encoded: str) -> None:
    assert wire.encode(message).hex() == encoded
    assert wire.Framer().feed(bytes.fromhex(encoded)) == [message]


def test_every_kind_is_covered() -> None:
    assert {type(message) for message, _ in VECTORS} == set(Message.__args__)


@settings(deadline=None, max_examples=100)
@given(st.lists(messages, max_size=20), st.data())
def test_whole_bytewise_and_random_cuts_agree(sent: list[Message], data: st.DataObject) -> None:
    stream = b"".join(map(wire.encode, sent))
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=20))
    assert feed(stream, []) == feed(stream, list(range(len(stream)))) == feed(stream, cuts) == sent


def test_a_block_inside_one_chunk_is_a_view_of_it() -> None:
    chunk = bytearray(wire.encode(Piece(0, 0, b"a" * 100)))
    [piece] = wire.Framer().feed(chunk)
    assert isinstance(piece, Piece)
    chunk[-1] = ord("b")
    assert bytes(piece.block) == b"a" * 99 + b"b"


def test_a_straddling_block_does_not_change_with_the_chunk() -> None:
    framer, encoded = wire.Framer(), wire.encode(Piece(0, 0, b"a" * 100))
    head, tail = bytearray(encoded[:50]), bytearray(encoded[50:] + bytes(2))
    assert framer.feed(head) == []
    head[:] = bytes(50)
    [piece] = framer.feed(tail)
    tail[:] = bytes(len(tail))
    assert isinstance(piece, Piece)
    assert bytes(piece.block) == b"a" * 100
    assert framer.feed(bytes(2)) == [KeepAlive()]


@pytest.mark.parametrize(
    "encoded",
    [
        "00100001",  # one byte over the bound, told before any of it has come
        "ffffffff",
        "7fffffff0700000000000000",
        "000000020000",  # choke with a payload
        "0000000404000000",  # have that is too short
        "0000000c0600000000000000000000",  # request that is too short
        "000000080700000000000000",
        "0000000114",  # extended without id
        "000000010b",  # an id that no BEP defines
        "00000001ff",
        "0000000209ff",  # port, too short
    ],
)
def test_nonsense_is_refused_whole_and_bytewise(encoded: str) -> None:
    stream = bytes.fromhex(encoded) + bytes(16)
    for cuts in ([], list(range(len(stream)))):
        with pytest.raises(RemoteProtocolError):
            feed(stream, cuts)


def test_port_says_nothing() -> None:
    assert wire.Framer().feed(bytes.fromhex("00000003091ae1" + "00000000")) == [KeepAlive()]


@settings(deadline=None, max_examples=100)
@given(st.lists(st.binary(max_size=40), max_size=10))
def test_only_remote_protocol_error_escapes(chunks: list[bytes]) -> None:
    framer = wire.Framer()
    try:
        found = [message for chunk in chunks for message in framer.feed(chunk)]
    except RemoteProtocolError:
        return
    encoded = sum(len(wire.encode(message)) for message in found)
    assert encoded <= sum(map(len, chunks))
