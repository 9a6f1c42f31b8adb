"""Peer exchange: the codec and the diary."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.peer import Address, KnownPeer, RemoteProtocolError, bencode, pex
from btresearch.peer.pex import BTLS, SEED, PexDiary, PexMessage, PexPeer

FOUR, SIX = Address("192.0.2.1", 6881), Address("2001:db8::1", 6882)
MESSAGE = PexMessage(
    (PexPeer(FOUR, SEED | BTLS), PexPeer(SIX)), (Address("192.0.2.9", 1), Address("2001:db8::9", 2))
)
MINUTE_NS = pex.INTERVAL_NS


def test_bytes_on_the_wire() -> None:
    # BEP 11: compact contacts in network order, one byte of flags a peer
    assert bencode.decode(pex.encode(MESSAGE)) == {
        b"added": bytes.fromhex("c00002011ae1"),
        b"added.f": b"\x22",
        b"added6": bytes.fromhex("20010db8" + "00" * 11 + "01" + "1ae2"),
        b"added6.f": b"\x00",
        b"dropped": bytes.fromhex("c00002090001"),
        b"dropped6": bytes.fromhex("20010db8" + "00" * 11 + "09" + "0002"),
    }
    assert bencode.decode(pex.encode(PexMessage())) == {b"added": b"", b"added.f": b""}


def test_round_trip() -> None:
    assert pex.decode(pex.encode(MESSAGE)) == MESSAGE


_PEERS = st.builds(
    lambda ip, port, flags: PexPeer(Address.of(str(ip), port), flags),
    st.ip_addresses(network="10.0.0.0/8") | st.ip_addresses(network="2001:db8::/32"),
    st.integers(1, 65535),
    st.integers(0, 255),
)


@settings(deadline=None, max_examples=100)
@given(st.lists(_PEERS, max_size=50, unique_by=lambda peer: peer.address))
def test_any_peers_round_trip(peers: list[PexPeer]) -> None:
    message = pex.decode(pex.encode(PexMessage(tuple(peers), tuple(peer.address for peer in peers))))
    assert set(message.added) == set(peers)
    assert set(message.dropped) == {peer.address for peer in peers}


def test_the_flag_becomes_what_is_known() -> None:
    assert PexPeer(FOUR, BTLS).known == KnownPeer(FOUR, tls=True)
    assert PexPeer(FOUR, 0xFF ^ BTLS).known == KnownPeer(FOUR)


@pytest.mark.parametrize("host", ["0.0.0.0", "224.0.0.1", "255.255.255.255", "240.0.0.1", "::", "ff02::1"])
def test_addresses_that_nobody_has_are_left_out(host: str) -> None:
    assert pex.decode(pex.encode(PexMessage((PexPeer(Address(host, 1)), PexPeer(FOUR))))).added == (
        PexPeer(FOUR),
    )


def test_flags_of_another_length_say_nothing() -> None:
    payload = bencode.encode({b"added": bytes.fromhex("c00002011ae1"), b"added.f": b"\x20\x20"})
    assert pex.decode(payload).added == (PexPeer(FOUR),)


def test_port_zero_keeps_the_flags_in_their_places() -> None:
    payload = bencode.encode({b"added": bytes.fromhex("c00002020000c00002011ae1"), b"added.f": b"\x00\x20"})
    assert pex.decode(payload).added == (PexPeer(FOUR, BTLS),)


@pytest.mark.parametrize(
    ("payload", "complaint"),
    [
        (b"le", "not a dictionary"),
        (b"d5:added", "ut_pex message"),
        (b"d5:addedi1ee", "added is not a string"),
        (b"d5:added5:abcdee", "5 bytes"),
        (b"d8:dropped63:abce", "3 bytes"),
        (bytes(pex.MAX_MESSAGE_BYTES + 1), "of 16385 bytes"),
    ],
)
def test_refused_messages(payload: bytes, complaint: str) -> None:
    with pytest.raises(RemoteProtocolError, match=complaint):
        pex.decode(payload)


def test_no_more_than_the_bound_is_taken() -> None:
    added = b"".join(bytes([10, 0, number >> 8, number & 255, 1, 1]) for number in range(1000))
    assert len(pex.decode(bencode.encode({b"added": added, b"dropped": added})).added) == pex.MAX_TAKEN


@settings(deadline=None, max_examples=100)
@given(
    st.binary(max_size=100)
    | st.dictionaries(
        st.sampled_from([b"added", b"added.f", b"added6", b"added6.f", b"dropped", b"dropped6"]),
        st.binary(max_size=40) | st.integers(-9, 9),
    ).map(bencode.encode)
)
def test_only_protocol_errors_escape(payload: bytes) -> None:
    try:
        assert len(pex.decode(payload).added) <= pex.MAX_TAKEN
    except RemoteProtocolError as error:
        assert str(error)


def _peers(*numbers: int, flags: int = 0) -> list[PexPeer]:
    return [PexPeer(Address(f"10.0.{number >> 8}.{number & 255}", 1), flags) for number in numbers]


def test_the_diary_tells_what_changed_once_a_minute() -> None:
    diary = PexDiary()
    assert diary.next(0, _peers(1, 2, 3), to=Address("10.0.0.3", 1)) == PexMessage(tuple(_peers(1, 2)))
    assert diary.next(MINUTE_NS - 1, _peers(1, 4), to=FOUR) is None
    message = diary.next(MINUTE_NS, _peers(1, 4), to=FOUR)
    assert message == PexMessage(tuple(_peers(4)), (Address("10.0.0.2", 1),))
    assert diary.next(3 * MINUTE_NS, _peers(1, 4), to=FOUR) is None, "nothing changed"
    news = diary.next(3 * MINUTE_NS, _peers(1, 4, flags=SEED), to=FOUR)
    assert news is not None and {peer.flags for peer in news.added} == {SEED}


def test_the_diary_names_fifty_at_a_time() -> None:
    diary, crowd = PexDiary(), _peers(*range(120))
    told = [
        len(message.added) for turn in range(4) if (message := diary.next(turn * MINUTE_NS, crowd, to=FOUR))
    ]
    assert told == [50, 50, 20]
    gone = diary.next(9 * MINUTE_NS, [], to=FOUR)
    assert gone is not None and len(gone.dropped) == pex.MAX_PEERS


def test_a_peer_that_speaks_too_often_is_not_heard() -> None:
    diary, payload = PexDiary(), pex.encode(MESSAGE)
    assert diary.take(0, payload) == MESSAGE
    assert not diary.take(pex.MIN_INTERVAL_NS - 1, payload)
    assert diary.take(pex.MIN_INTERVAL_NS, payload) == MESSAGE
    with pytest.raises(RemoteProtocolError):
        diary.take(0, b"x")
