"""The dialling engine's ClientHello, parsed here by RFC 8446 section 4.1.2."""

from __future__ import annotations

import sys

import pytest

from btresearch.transport.btls import best_client
from tests.transport.btls.memory_keylog import MemoryKeyLog
from tests.transport.pairs import INFOHASH, browser, dial

SNI, ALPN, SUPPORTED_VERSIONS, PRE_SHARED_KEY, EARLY_DATA, TRUST_ANCHORS = 0, 16, 43, 41, 42, 0xCA34


def extensions(hello: bytes) -> dict[int, bytes]:
    at = 5 + 4 + 2 + 32
    at += 1 + hello[at]
    at += 2 + int.from_bytes(hello[at : at + 2], "big")
    at += 1 + hello[at] + 2
    found = {}
    while at < len(hello):
        kind, length = (int.from_bytes(hello[at + n : at + n + 2], "big") for n in (0, 2))
        found[kind] = hello[at + 4 : at + 4 + length]
        at += 4 + length
    return found


@pytest.fixture
def hello() -> bytes:
    return dial().start()


def test_it_is_one_record_and_no_word_of_the_torrent(hello: bytes) -> None:
    assert len(hello) == 5 + int.from_bytes(hello[3:5], "big")
    assert INFOHASH not in hello
    assert INFOHASH.hex().encode() not in hello
    assert b"bittorrent" not in hello.lower()


def test_no_sni_no_psk_no_early_data(hello: bytes) -> None:
    assert not {SNI, PRE_SHARED_KEY, EARLY_DATA} & extensions(hello).keys()


def test_a_name_is_sent_when_one_is_given() -> None:
    engine = browser()("example.org")
    engine.handshake()
    assert extensions(engine.drain())[SNI].endswith(b"example.org")


def test_tls_1_2_is_offered_as_browsers_do(hello: bytes) -> None:
    versions = extensions(hello)[SUPPORTED_VERSIONS]
    offered = [versions[n : n + 2].hex() for n in range(1, len(versions), 2)]
    assert offered[1:] == ["0304", "0303"]
    assert extensions(hello)[ALPN] == b"\x00\x0c\x02h2\x08http/1.1"


def test_trust_anchors_are_sorted_and_the_same_each_time() -> None:
    sent = {extensions(dial().start())[TRUST_ANCHORS] for _ in range(5)}
    assert len(sent) == 1
    rest, ids = sent.pop()[2:], []
    while rest:
        ids.append(rest[1 : 1 + rest[0]])
        rest = rest[1 + rest[0] :]
    assert len(ids) > 1
    assert ids == sorted(ids)


def test_without_utls_the_fallback_dials_and_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "btresearch.transport.btls.client_utls", None)
    assert best_client(MemoryKeyLog())(None).fallback
    monkeypatch.undo()
    assert not best_client(MemoryKeyLog())(None).fallback
