"""Metadata over BEP 9: examples, several sources, liars."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.peer import MetadataFetch, RemoteProtocolError, metadata
from btresearch.peer.metadata import MetadataData, MetadataReject, MetadataRequest

INFO = bytes(range(256)) * 200  # 51,200 bytes: four pieces
INFOHASH = hashlib.sha1(INFO).digest()
LIE = INFO[:-1] + b"!"


def serve(fetch: MetadataFetch, peer: str, content: bytes | None = INFO) -> bytes | None:
    """Answer every request to `peer` out of `content` until it is asked no more."""
    while payloads := fetch.requests(peer):
        for payload in payloads:
            request = metadata.decode(payload)
            assert isinstance(request, MetadataRequest)
            if found := fetch.receive(peer, metadata.answer(content, request)):
                return found
    return None


def fetching(**sizes: int) -> MetadataFetch:
    fetch = MetadataFetch(INFOHASH)
    for peer, size in sizes.items():
        fetch.add_peer(peer, size)
    return fetch


def test_examples_of_bep_9() -> None:
    assert metadata.encode(MetadataRequest(0)) == b"d8:msg_typei0e5:piecei0ee"
    assert metadata.encode(MetadataReject(0)) == b"d8:msg_typei2e5:piecei0ee"
    # BEP 9 has total_size 34256 for piece 0: 16 KiB of data follow the dictionary
    data = MetadataData(0, 34256, b"x" * 16384)
    assert metadata.encode(data) == b"d8:msg_typei1e5:piecei0e10:total_sizei34256ee" + b"x" * 16384
    assert metadata.decode(metadata.encode(data)) == data
    assert metadata.decode(b"d8:msg_typei7e5:piecei0ee") is None


def test_one_peer() -> None:
    assert serve(fetching(a=len(INFO)), "a") == INFO


def test_several_peers_share_the_work() -> None:
    fetch = fetching(a=len(INFO), b=len(INFO))
    first = fetch.requests("a")
    assert len(first) == 4
    assert fetch.requests("b") == first, "nothing is left, so it helps out"
    fetch.remove_peer("a")
    assert serve(fetch, "a") is None
    answers = [metadata.answer(INFO, metadata.decode(payload)) for payload in first]  # type: ignore[arg-type]
    assert [fetch.receive("b", answer) for answer in answers][-1] == INFO


def test_a_peer_that_refuses_is_not_asked_again() -> None:
    fetch = fetching(a=len(INFO), b=len(INFO))
    assert serve(fetch, "a", None) is None
    assert fetch.requests("a") == []
    assert serve(fetch, "b") == INFO


def test_a_lonely_liar_is_caught() -> None:
    with pytest.raises(RemoteProtocolError, match="wrong hash"):
        serve(fetching(a=len(INFO)), "a", LIE)


def test_among_several_the_liar_fails_alone() -> None:
    fetch = fetching(liar=len(INFO), honest=len(INFO))
    asked = [metadata.decode(payload) for payload in fetch.requests("liar")]
    honest = [metadata.decode(payload) for payload in fetch.requests("honest")]
    for request in honest[:2]:
        assert isinstance(request, MetadataRequest)
        fetch.receive("honest", metadata.answer(INFO, request))
    for request in asked:
        assert isinstance(request, MetadataRequest)
        fetch.receive("liar", metadata.answer(LIE, request))
    for request in honest[2:]:
        assert isinstance(request, MetadataRequest)
        assert fetch.receive("honest", metadata.answer(INFO, request)) is None
    with pytest.raises(RemoteProtocolError, match="wrong hash"):
        serve(fetch, "liar", LIE)
    fetch.remove_peer("liar")
    assert serve(fetch, "honest") == INFO
    fetch.add_peer("late", len(INFO))
    assert serve(fetch, "late") == INFO


def test_a_wrong_size_spoils_nothing() -> None:
    fetch = fetching(liar=10, honest=len(INFO))
    assert serve(fetch, "honest") == INFO
    with pytest.raises(RemoteProtocolError, match="wrong hash"):
        serve(fetch, "liar", b"0123456789")


def test_sizes_are_bounded() -> None:
    fetch = fetching(a=1, b=2, c=3, d=4, honest=len(INFO))
    assert serve(fetch, "honest") == INFO, "four silent liars with a size each block nobody"
    for size in (0, -1, metadata.METADATA_MAX_BYTES + 1):
        with pytest.raises(RemoteProtocolError, match="metadata_size"):
            fetch.add_peer("x", size)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"le",
        b"d8:msg_typei0ee",
        b"d8:msg_typei0e5:piecei-1ee",
        b"d8:msg_typei1e5:piecei0ee" + b"x" * 16384,
        b"d8:msg_typei1e5:piecei0e10:total_sizei99999999999ee",
        b"d8:msg_typei1e5:piecei0e10:total_sizei51200ee" + b"x" * 16383,
        b"d8:msg_typei1e5:piecei9e10:total_sizei51200ee",
        b"d8:msg_typei1e5:piecei0e10:total_sizei40000ee" + b"x" * 16384,  # not the size announced
        b"d8:msg_typei2e5:piecei99ee",  # never asked
    ],
)
def test_nonsense_is_refused(payload: bytes) -> None:
    fetch = fetching(a=len(INFO))
    fetch.requests("a")
    with pytest.raises(RemoteProtocolError):
        fetch.receive("a", payload)


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=60) | st.text("dlie0123:msg_typec", max_size=60).map(str.encode))
def test_only_remote_protocol_error_escapes(payload: bytes) -> None:
    fetch = fetching(a=len(INFO))
    fetch.requests("a")
    try:
        assert fetch.receive("a", payload) is None
    except RemoteProtocolError as error:
        assert str(error)


def test_requests_from_the_peer_are_ignored_by_the_fetch() -> None:
    assert fetching(a=5).receive("a", metadata.encode(MetadataRequest(0))) is None
    assert fetching(a=5).receive("stranger", metadata.encode(MetadataReject(0))) is None


@pytest.mark.parametrize("which", ["v1", "v2", "both"])
def test_metadata_has_every_infohash_of_the_link(which: str) -> None:
    info = b"d4:name1:xe"
    good = {"v1": hashlib.sha1(info).digest(), "v2": hashlib.sha256(info).digest()}
    topics = tuple(good.values()) if which == "both" else (good[which],)
    for wrong in (None, *range(len(topics))):
        asked = [bytes(len(topic)) if number == wrong else topic for number, topic in enumerate(topics)]
        fetch = MetadataFetch(*asked)
        fetch.add_peer("p", len(info))
        assert fetch.requests("p")
        data = metadata.encode(metadata.MetadataData(0, len(info), info))
        if wrong is None:
            assert fetch.receive("p", data) == info
        else:
            with pytest.raises(RemoteProtocolError, match="wrong hash"):
                fetch.receive("p", data)
