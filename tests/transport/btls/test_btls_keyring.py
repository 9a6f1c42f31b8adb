from __future__ import annotations

import hashlib
import os
from time import perf_counter_ns

import pytest

from btresearch.transport.btls import Keyring, TorrentKey
from btresearch.transport.btls import keyring as module

INFOHASHES = [hashlib.sha1(bytes([n])).digest() for n in range(200)]
K = bytes(range(16))


def test_every_torrent_is_found_by_its_tag() -> None:
    keyring = Keyring(INFOHASHES)
    assert len(keyring) == 200
    for infohash in INFOHASHES:
        found = keyring.lookup(TorrentKey.basic(infohash).tag(K), K)
        assert found is not None
        assert found.infohash == infohash


def test_a_tag_of_another_connection_or_torrent_misses() -> None:
    keyring = Keyring(INFOHASHES)
    assert keyring.lookup(TorrentKey.basic(INFOHASHES[0]).tag(K), bytes(16)) is None
    assert keyring.lookup(TorrentKey.basic(bytes(20)).tag(K), K) is None
    assert keyring.lookup(os.urandom(16), K) is None


def test_half_a_tag_is_no_tag() -> None:
    keyring, tag = Keyring(INFOHASHES), TorrentKey.basic(INFOHASHES[7]).tag(K)
    assert keyring.lookup(tag[:8] + bytes(8), K) is None
    assert keyring.lookup(bytes(8) + tag[8:], K) is None


def test_the_first_and_the_last_of_several_chunks_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_ROWS", 64)
    for count in (63, 64, 65, 128, 200):
        keyring = Keyring(INFOHASHES[:count])
        for number in (0, min(63, count - 1), min(64, count - 1), count - 1):
            key = TorrentKey.basic(INFOHASHES[number])
            assert keyring.lookup(key.tag(K), K) == key


def test_an_empty_keyring_finds_nothing_not_even_its_filler() -> None:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    filler_tag = Cipher(algorithms.AES128(K), modes.ECB()).encryptor().update(bytes(16))
    assert Keyring().lookup(filler_tag, K) is None


def test_torrents_come_and_go() -> None:
    keyring, key = Keyring(), TorrentKey.basic(INFOHASHES[0])
    keyring.add(INFOHASHES[0])
    assert keyring.lookup(key.tag(K), K) == key
    keyring.discard(INFOHASHES[0])
    keyring.discard(INFOHASHES[0])
    assert keyring.lookup(key.tag(K), K) is None


def test_a_torrent_that_comes_while_a_table_is_built_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the lookup runs in one thread and `add` in another."""
    keyring, late = Keyring(INFOHASHES), TorrentKey.basic(bytes(20))
    build = module._Table.of

    def add_meanwhile(edition: int, keys: tuple[TorrentKey, ...]) -> module._Table:
        table = build(edition, keys)
        keyring.add(late)
        return table

    monkeypatch.setattr(module._Table, "of", add_meanwhile)
    assert keyring.lookup(late.tag(K), K) is None
    monkeypatch.undo()
    assert keyring.lookup(late.tag(K), K) == late


def test_a_strict_key_replaces_basic_and_basic_no_longer_answers() -> None:
    strict = TorrentKey.derive(INFOHASHES[0], "strict", bytes(32))
    keyring = Keyring([INFOHASHES[0], strict])
    assert len(keyring) == 1
    assert keyring.lookup(strict.tag(K), K) == strict
    assert keyring.lookup(TorrentKey.basic(INFOHASHES[0]).tag(K), K) is None


@pytest.mark.slow
def test_a_hundred_thousand_torrents_within_the_budget() -> None:
    keyring = Keyring(n.to_bytes(20, "big") for n in range(100_000))
    tag = TorrentKey.basic((99_999).to_bytes(20, "big")).tag(K)
    assert keyring.lookup(tag, K) is not None
    took_ns = []
    for wanted in (tag, bytes(16)) * 10:
        began_ns = perf_counter_ns()
        keyring.lookup(wanted, K)
        took_ns.append(perf_counter_ns() - began_ns)
    # 5 ms is the specification's budget; the best run counts, because the machine is shared.
    assert min(took_ns[0::2]) < 5_000_000
    assert min(took_ns[1::2]) < 5_000_000
