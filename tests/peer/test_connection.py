"""PeerConnection: two of them back to back, the rules of each state, and hostile peers."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.peer import (
    Block,
    Dropped,
    ExtensionHandshake,
    ExtensionMessage,
    Handshake,
    Layout,
    LocalProtocolError,
    PeerConnection,
    PieceSet,
    RemoteProtocolError,
    extension,
    wire,
)
from btresearch.peer.connection import MAX_PEER_REQUESTS
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
    Piece,
    Reject,
    Request,
    Suggest,
    Unchoke,
)
from btresearch.peer.states import RULES, Phase, violation

from .link import INFOHASH, deliver, established, pair

LAYOUT = Layout(32768, 3 * 32768 - 100)  # three pieces, the last block 16284 bytes
BLOCK = Block(0, 0, 16384)


def downloading(**options: object) -> tuple[PeerConnection, PeerConnection]:
    """A leech (left) that a seed (right) has unchoked."""
    leech, seed = established(layout=LAYOUT, **options)
    seed.pieces(PieceSet.full(3))
    leech.pieces(PieceSet(3))
    seed.unchoke()
    leech.interested()
    deliver(seed, leech)
    deliver(leech, seed)
    return leech, seed


def hand(connection: PeerConnection, *messages: Message) -> list[object]:
    """Messages as a hostile peer would send them, past all checks at the sender."""
    return list(connection.receive(b"".join(map(wire.encode, messages))))


def test_handshakes_pass_both_ways() -> None:
    left, right = pair(layout=LAYOUT, extensions={})
    left.handshake()
    assert deliver(left, right) == [Handshake(INFOHASH, b"L" * 20)]
    assert not right.established
    right.handshake()
    assert deliver(right, left) == [Handshake(INFOHASH, b"R" * 20)]
    assert left.established
    assert left.fast
    assert left.extended


def test_responder_may_learn_the_torrent_from_the_handshake() -> None:
    left, _ = pair(layout=LAYOUT)
    right = PeerConnection(initiator=False, peer_id=b"R" * 20, infohash=None)
    left.handshake()
    [event] = deliver(left, right)
    with pytest.raises(LocalProtocolError, match="bind"):
        right.handshake()
    assert isinstance(event, Handshake)
    right.bind(event.infohash, LAYOUT)
    right.handshake()
    deliver(right, left)
    assert left.established
    assert right.established
    with pytest.raises(LocalProtocolError, match="another torrent"):
        right.bind(bytes(20), LAYOUT)


def test_initiator_needs_an_infohash() -> None:
    with pytest.raises(LocalProtocolError, match="infohash"):
        PeerConnection(initiator=True, peer_id=b"L" * 20, infohash=None)


@pytest.mark.parametrize(
    ("handshake", "reason"),
    [
        (Handshake(bytes(20), b"X" * 20), "another torrent"),
        (Handshake(INFOHASH, b"L" * 20), "connected to self"),
    ],
)
def test_wrong_torrent_and_self_are_refused(handshake: Handshake, reason: str) -> None:
    left, _ = pair()
    with pytest.raises(RemoteProtocolError, match=reason):
        left.receive(handshake.encode())


def test_nothing_before_the_handshake() -> None:
    left, _ = pair()
    with pytest.raises(LocalProtocolError, match="before its handshake"):
        left.interested()
    left.handshake()
    with pytest.raises(LocalProtocolError, match="already"):
        left.handshake()
    with pytest.raises(LocalProtocolError, match="has not come yet"):
        left.pieces(PieceSet(3))


@pytest.mark.parametrize(
    ("have", "fast", "sent"),
    [
        (PieceSet.full(3), True, [HaveAll()]),
        (PieceSet(3), True, [HaveNone()]),
        (PieceSet(3, [0]), True, [Bitfield(b"\x80")]),
        (PieceSet.full(3), False, [Bitfield(b"\xe0")]),
        (PieceSet(3), False, []),
    ],
)
def test_first_message_says_what_one_has(have: PieceSet, fast: bool, sent: list[Message]) -> None:
    left, right = established(layout=LAYOUT, fast=fast)
    left.pieces(have)
    assert deliver(left, right) == sent
    assert right.peer_pieces == have
    assert right.peer_is_seed == have.complete


def test_a_block_is_asked_for_and_comes() -> None:
    leech, seed = downloading()
    leech.request(BLOCK)
    assert deliver(leech, seed) == [Request(*BLOCK)]
    block = bytes(range(256)) * 64
    assert seed.piece(0, 0, block)
    assert not seed.piece(0, 0, block), "a request is answered once"
    [event] = deliver(seed, leech)
    assert event == Piece(0, 0, block)
    assert not leech.requested


def test_answering_does_not_copy_the_block() -> None:
    leech, seed = downloading()
    leech.request(BLOCK)
    deliver(leech, seed)
    block = bytes(16384)
    seed.piece(0, 0, block)
    assert seed.data_to_send()[1] is block


def test_choke_drops_requests_without_fast() -> None:
    leech, seed = downloading(fast=False)
    leech.request(BLOCK)
    deliver(leech, seed)
    seed.choke()
    assert deliver(seed, leech) == [Choke(), Dropped((BLOCK,))]
    assert not seed.piece(0, 0, bytes(16384))
    assert not leech.requested
    with pytest.raises(LocalProtocolError, match="while choked"):
        leech.request(BLOCK)
    # it may have been sent before the choke took effect
    assert hand(leech, Piece(0, 0, bytes(16384))) == [Piece(0, 0, bytes(16384))]


def test_choke_rejects_requests_with_fast() -> None:
    leech, seed = downloading()
    leech.request(BLOCK)
    deliver(leech, seed)
    seed.choke()
    assert deliver(seed, leech) == [Choke(), Reject(*BLOCK)]
    assert not leech.requested


def test_request_that_crossed_a_choke_is_nobodys_fault() -> None:
    leech, seed = downloading()
    seed.choke()
    leech.request(BLOCK)
    assert deliver(leech, seed) == []
    assert deliver(seed, leech) == [Choke(), Reject(*BLOCK)]


def test_cancel_is_answered_by_a_reject_and_may_come_too_late() -> None:
    leech, seed = downloading()
    leech.request(BLOCK)
    deliver(leech, seed)
    leech.cancel(BLOCK)
    assert deliver(leech, seed) == [Cancel(*BLOCK)]
    assert deliver(seed, leech) == []  # the reject of a cancelled request is no news
    leech.request(BLOCK)
    deliver(leech, seed)
    seed.piece(0, 0, bytes(16384))
    leech.cancel(BLOCK)
    assert deliver(leech, seed) == []
    assert deliver(seed, leech) == [Piece(0, 0, bytes(16384))]


def test_allowed_fast_pieces_flow_while_choked() -> None:
    leech, seed = established(layout=LAYOUT)
    seed.pieces(PieceSet.full(3))
    seed.allowed_fast(2)
    assert deliver(seed, leech) == [HaveAll(), AllowedFast(2)]
    assert leech.allowed_while_choked == {2}
    leech.request(Block(2, 0, 16384))
    assert deliver(leech, seed) == [Request(2, 0, 16384)]
    seed.choke()
    assert seed.piece(2, 0, bytes(16384))
    deliver(seed, leech)
    with pytest.raises(LocalProtocolError, match="while choked"):
        leech.request(BLOCK)


def test_requests_have_a_bound() -> None:
    layout = Layout(16384 * (MAX_PEER_REQUESTS + 1), 16384 * (MAX_PEER_REQUESTS + 1))
    leech, seed = established(layout=layout)
    seed.pieces(PieceSet.full(1))
    seed.unchoke()
    deliver(seed, leech)
    flood = [Request(*layout.block(0, number)) for number in range(MAX_PEER_REQUESTS + 1)]
    assert hand(seed, *flood, flood[0]) == flood[:-1]
    assert seed.data_to_send() == [wire.encode(Reject(*flood[-1].block))]
    seed.reject(flood[0].block)
    assert len(seed.peer_requests) == MAX_PEER_REQUESTS - 1


def test_state_changes_are_said_once() -> None:
    left, right = established(layout=LAYOUT)
    left.pieces(PieceSet(3))
    for _ in range(2):
        left.interested()
        left.unchoke()
    assert deliver(left, right) == [HaveNone(), Interested(), Unchoke()]
    for _ in range(2):
        left.not_interested()
        left.choke()
    deliver(left, right)
    assert (right.peer_interested, right.peer_choking) == (False, True)


def test_have_is_news_once() -> None:
    left, right = established(layout=LAYOUT)
    left.pieces(PieceSet(3))
    left.have(1)
    assert deliver(left, right) == [HaveNone(), Have(1)]
    assert hand(right, Have(1)) == []
    assert right.peer_pieces == PieceSet(3, [1])


def test_extensions_are_named_by_the_receiver() -> None:
    left, right = established(extensions={b"ut_metadata": 3})
    assert not left.extended_message(b"ut_metadata", b"x"), "the peer has not named it yet"
    left.extended_handshake(extension.handshake_fields({b"ut_metadata": 3}, metadata_size=77))
    [hello] = deliver(left, right)
    assert isinstance(hello, ExtensionHandshake)
    assert (hello.ids, hello.metadata_size) == ({b"ut_metadata": 3}, 77)
    assert right.extended_message(b"ut_metadata", b"payload")
    assert deliver(right, left) == [ExtensionMessage(b"ut_metadata", b"payload")]
    assert hand(left, Extended(99, b"whatever")) == [], "unknown extensions are tolerated"


def test_extension_handshake_may_come_before_the_bitfield() -> None:
    left, _ = established(layout=LAYOUT, extensions={})
    events = hand(left, KeepAlive(), Extended(0, b"d1:mdee"), Bitfield(b"\xe0"))
    assert [type(event) for event in events] == [KeepAlive, ExtensionHandshake, Bitfield]


def test_pieces_of_an_unknown_torrent_are_judged_later() -> None:
    left, right = established()
    left.pieces(PieceSet.full(3))
    deliver(left, right)
    assert right.peer_pieces is None
    assert right.peer_is_seed
    right.set_layout(LAYOUT)
    assert right.peer_pieces == PieceSet.full(3)


@pytest.mark.parametrize("early", [[Bitfield(b"\xff")], [Bitfield(b"\xe0\x00")], [HaveNone(), Have(3)]])
def test_what_does_not_fit_the_metadata_is_refused_when_it_comes(early: list[Message]) -> None:
    left, _ = established()
    hand(left, *early)
    with pytest.raises(RemoteProtocolError):
        left.set_layout(LAYOUT)


def test_early_announcements_are_kept() -> None:
    left, _ = established()
    hand(left, Bitfield(b"\x80"), Have(2), Have(2))
    left.set_layout(LAYOUT)
    assert left.peer_pieces == PieceSet(3, [0, 2])


BROKEN: dict[str, tuple[list[Message], str]] = {
    "bitfield twice": ([Bitfield(b"\xe0"), Bitfield(b"\xe0")], "may only follow the handshake"),
    "bitfield late": ([Unchoke(), Bitfield(b"\xe0")], "may only follow the handshake"),
    "bitfield too long": ([Bitfield(b"\xe0\x00")], "bitfield of 2 bytes for 3 pieces"),
    "bitfield too short": ([Bitfield(b"")], "bitfield of 0 bytes"),
    "spare bit": ([Bitfield(b"\xf0")], "spare bit"),
    "have out of range": ([Have(3)], "have of piece 3, of 3"),
    "suggest out of range": ([Suggest(3)], "piece 3 of 3"),
    "allowed fast out of range": ([AllowedFast(2**32 - 1)], "of 3"),
    "request of nothing": ([Request(0, 0, 0)], "block of 0 bytes"),
    "request too long": ([Request(0, 0, 131073)], "block of 131073 bytes"),
    "request out of range": ([Request(3, 0, 1)], "piece 3 of 3"),
    "request beyond the piece": ([Request(0, 32768, 1)], "beyond the end"),
    "request beyond the last piece": ([Request(2, 16384, 16384)], "beyond the end"),
    "request wraps around": ([Request(0, 2**32 - 1, 2)], "beyond the end"),
    "piece never requested": ([Piece(0, 0, bytes(16384))], "not requested"),
    "piece out of range": ([Piece(9, 0, bytes(10))], "piece 9 of 3"),
    "piece beyond the end": ([Piece(2, 16384, bytes(16384))], "beyond the end"),
    "empty piece": ([Piece(0, 0, b"")], "block of 0 bytes"),
    "reject of nothing": ([Reject(0, 0, 16384)], "not requested"),
    "extended without BEP 10": ([Extended(0, b"de")], "without the extended extension"),
}


@pytest.mark.parametrize(("messages", "reason"), BROKEN.values(), ids=BROKEN.keys())
def test_broken_rules_name_their_reason(messages: list[Message], reason: str) -> None:
    left, _ = established(layout=LAYOUT)
    with pytest.raises(RemoteProtocolError, match=reason):
        hand(left, *messages)


@pytest.mark.parametrize("message", [HaveAll(), HaveNone(), Suggest(0), Reject(0, 0, 1), AllowedFast(0)])
def test_fast_messages_need_fast_at_both_ends(message: Message) -> None:
    left, _ = established(layout=LAYOUT, fast=False)
    with pytest.raises(RemoteProtocolError, match="fast extension"):
        hand(left, message)


def test_request_for_what_was_not_offered() -> None:
    left, _ = established(layout=LAYOUT)
    left.pieces(PieceSet(3, [1]))
    left.unchoke()
    with pytest.raises(RemoteProtocolError, match="not offered"):
        hand(left, Request(0, 0, 16384))


@pytest.mark.parametrize("payload", [b"", b"i1e", b"d1:mi1ee", b"d" * 100, b"l" * 20_000, b"d1:m"])
def test_broken_extension_handshake(payload: bytes) -> None:
    left, _ = established(extensions={})
    with pytest.raises(RemoteProtocolError, match="extension handshake"):
        hand(left, Extended(0, payload))


def test_own_mistakes_are_local() -> None:
    leech, _ = downloading()
    leech.request(BLOCK)
    with pytest.raises(LocalProtocolError, match="already"):
        leech.request(BLOCK)
    with pytest.raises(LocalProtocolError, match="may only follow"):
        leech.pieces(PieceSet.full(3))
    partial, _ = established(layout=LAYOUT)
    hand(partial, HaveNone(), Unchoke())
    with pytest.raises(LocalProtocolError, match="does not have piece 0"):
        partial.request(BLOCK)


def test_the_table_judges_every_message_in_every_phase() -> None:
    assert set(RULES) == set(Message.__args__)
    for kind, rule in RULES.items():
        for phase in Phase:
            legal = violation(phase, kind, lambda _: True) is None
            assert legal == (phase in rule.phases)


messages = st.one_of(
    st.sampled_from([KeepAlive(), Choke(), Unchoke(), Interested(), HaveAll(), HaveNone()]),
    st.builds(Have, st.integers(0, 4)),
    st.builds(Request, st.integers(0, 3), st.integers(0, 40000), st.integers(0, 140000)),
    st.builds(Cancel, st.integers(0, 3), st.just(0), st.just(16384)),
    st.builds(Reject, st.integers(0, 3), st.just(0), st.just(16384)),
    st.builds(Piece, st.integers(0, 3), st.just(0), st.just(bytes(16384)) | st.binary(max_size=5)),
    st.builds(Bitfield, st.binary(max_size=3)),
    st.builds(Extended, st.integers(0, 4), st.binary(max_size=30)),
)


@settings(deadline=None, max_examples=100)
@given(st.lists(messages, max_size=12), st.binary(max_size=20), st.booleans(), st.booleans(), st.booleans())
def test_only_remote_protocol_error_escapes(
    sent: list[Message], noise: bytes, known: bool, fast: bool, extended: bool
) -> None:
    leech, _ = established(
        layout=LAYOUT if known else None, fast=fast, extensions={b"ut_metadata": 3} if extended else None
    )
    leech.interested()
    try:
        hand(leech, *sent)
        leech.receive(noise)
        if not known:
            leech.set_layout(LAYOUT)
    except RemoteProtocolError as error:
        assert str(error)


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=100))
def test_noise_instead_of_a_handshake(noise: bytes) -> None:
    left, _ = pair(layout=LAYOUT)
    try:
        left.receive(noise)
    except RemoteProtocolError as error:
        assert "protocol string" in str(error)
    else:
        assert b"\x13BitTorrent protocol".startswith(noise[:20])
