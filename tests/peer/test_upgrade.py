"""Which infohash a connection ends up with, BEP 52: the bit of a hybrid's initiator, and the answer to it."""

from __future__ import annotations

import pytest

from btresearch.peer import PeerConnection, RemoteProtocolError
from btresearch.peer.errors import LocalProtocolError
from btresearch.peer.handshake import V2_BIT, Handshake
from btresearch.peer.hashes import HashRange, HashReject, HashRequest

V1, V2, OTHER = b"1" * 20, b"2" * 20, b"3" * 20
REQUEST = HashRequest(HashRange(bytes(32), 0, 0, 2, 0))


def end(*, initiator: bool, infohash: bytes, infohash_v2: bytes | None) -> PeerConnection:
    return PeerConnection(
        initiator=initiator,
        peer_id=(b"i" if initiator else b"r") * 20,
        infohash=infohash,
        infohash_v2=infohash_v2,
    )


def meet(left: PeerConnection, right: PeerConnection) -> None:
    left.handshake()
    right.receive(b"".join(left.data_to_send()))
    right.handshake()
    left.receive(b"".join(right.data_to_send()))


@pytest.mark.parametrize(
    ("dialled", "knows", "answers_for", "v2"),
    [
        (V1, V2, V2, True),  # both hybrid: upgraded
        (V1, V2, None, False),  # the responder knows v1 only
        (V1, None, V2, False),  # the initiator knows v1 only: no bit, no upgrade
        (V2, V2, V2, True),  # dialled with v2 at once
    ],
)
def test_upgrade(dialled: bytes, knows: bytes | None, answers_for: bytes | None, v2: bool) -> None:
    left = end(initiator=True, infohash=dialled, infohash_v2=knows)
    right = end(initiator=False, infohash=V1, infohash_v2=answers_for)
    meet(left, right)
    assert (left.v2, right.v2) == (v2, v2)
    assert left.remote is not None
    assert left.remote.infohash == (V2 if v2 else V1)
    if v2:
        left.hashes(REQUEST)
        assert right.receive(b"".join(left.data_to_send())) == [REQUEST]
        right.hashes(HashReject(REQUEST.range))
        assert left.receive(b"".join(right.data_to_send())) == [HashReject(REQUEST.range)]
    else:
        with pytest.raises(LocalProtocolError, match="v2 extension"):
            left.hashes(REQUEST)


def test_another_torrent_is_refused_all_the_same() -> None:
    for answer in (OTHER, V1):
        left = end(initiator=True, infohash=V2, infohash_v2=V2)
        left.handshake()
        with pytest.raises(RemoteProtocolError, match="another torrent"):
            left.receive(Handshake(answer, b"x" * 20).encode())


def test_the_bit_is_the_fourth_of_the_last_byte() -> None:
    left = end(initiator=True, infohash=V1, infohash_v2=V2)
    left.handshake()
    assert b"".join(left.data_to_send())[27] & 0x10
    assert Handshake(V1, bytes(20), V2_BIT).v2


def test_hashes_on_a_v1_connection_are_a_fault() -> None:
    left = end(initiator=True, infohash=V1, infohash_v2=V2)
    right = end(initiator=False, infohash=V1, infohash_v2=None)
    meet(left, right)
    wire = PeerConnection(initiator=True, peer_id=b"x" * 20, infohash=V2, infohash_v2=V2)
    meet(wire, end(initiator=False, infohash=V1, infohash_v2=V2))
    wire.hashes(REQUEST)
    with pytest.raises(RemoteProtocolError, match="v2 extension"):
        left.receive(b"".join(wire.data_to_send()))
