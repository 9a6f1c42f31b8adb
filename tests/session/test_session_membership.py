"""Who is a member of what, and under which name the torrent is announced."""

from __future__ import annotations

from dataclasses import replace

import pytest

from btresearch.errors import InputError
from btresearch.peer import Magnet, Torrent
from btresearch.peer.secret import commit_of, secret_from_passphrase
from btresearch.peer.tls_info import Kdf, TlsInfo, encode_link
from btresearch.session.membership import Membership
from btresearch.transport.btls import TorrentKey

SECRET = b"s" * 32
OPEN, CLOSED = "https://t.example/announce", "http://t.example/announce"


def torrent(tls: TlsInfo | None = None, secret: bytes | None = None) -> Torrent:
    return Torrent.create("x", [((), 5)], bytes(20), piece_length_bytes=16384, tls=tls, secret=secret)


def strict(**changes: object) -> TlsInfo:
    return TlsInfo.create("strict", commit_of(SECRET), **changes)  # type: ignore[arg-type]


def test_basic_needs_nothing_and_names_the_torrent_everywhere() -> None:
    plain = torrent()
    membership = Membership.of(plain)
    assert (membership.level, membership.keys) == ("basic", (TorrentKey.basic(plain.infohash),))
    assert membership.announce_id(OPEN) == membership.announce_id(CLOSED) == plain.infohash


def test_strict_by_file_link_or_what_the_user_has() -> None:
    tls = strict()
    given = torrent(tls, SECRET)
    key = TorrentKey.derive(given.infohash, "strict", SECRET)
    link = Magnet(given.infohash, tls=encode_link(tls, SECRET))
    bare = Magnet(given.infohash, tls=encode_link(tls))
    found = [
        Membership.of(given),
        Membership.of(link),
        Membership.of(torrent(tls), secret=SECRET),
        Membership.of(bare, secret=SECRET),
    ]
    assert {each.keys for each in found} == {(key,)}
    assert all(each.level == "strict" and each.tls == tls for each in found)
    assert "ssss" not in repr(found)


def test_a_passphrase_stands_for_the_secret() -> None:
    kdf = Kdf(bytes(16))
    tls = TlsInfo.create("strict", commit_of(secret_from_passphrase("word", kdf)), kdf=kdf)
    assert Membership.of(torrent(tls), passphrase="word").level == "strict"
    with pytest.raises(InputError, match="the passphrase that it was made with") as caught:
        Membership.of(torrent(tls), passphrase="other")
    assert "other" not in str(caught.value)
    with pytest.raises(InputError, match="a passphrase"):
        Membership.of(torrent(tls))


def test_a_missing_a_wrong_and_a_needless_secret() -> None:
    with pytest.raises(InputError, match="a secret: its level is strict"):
        Membership.of(torrent(strict()))
    with pytest.raises(InputError, match="the secret that it was made with"):
        Membership.of(torrent(strict(), b"w" * 32))
    with pytest.raises(InputError, match="above btls level basic"):
        Membership.of(torrent(), secret=SECRET)
    with pytest.raises(InputError, match=r"x\.tls"):
        Membership.of(Magnet(bytes(20), tls="ZGU"))


def test_trackers_learn_the_infohash_only_where_the_torrent_says_so() -> None:
    member = Membership.of(torrent(strict(trackers=("https://t.example",)), SECRET))
    assert member.announce_id(OPEN) == member.infohashes[0]
    assert member.announce_id(CLOSED) == member.keys[0].discovery_id != member.infohashes[0]


def test_a_hybrid_has_two_keys_and_dials_with_the_second() -> None:
    hybrid = replace(torrent(strict(), SECRET), infohash_v2=b"2" * 32)
    member = Membership.of(hybrid)
    assert [len(key.infohash) for key in member.keys] == [20, 32]
    assert member.dial_key.infohash == b"2" * 32
    assert len(set(member.discovery_ids)) == 2
    assert Membership.of(replace(torrent(), infohash_v2=b"2" * 32)).discovery_ids[1] == b"2" * 20
