"""The authority of an SSL torrent in its info dictionary."""

from __future__ import annotations

import pytest

from btresearch.errors import InputError
from btresearch.peer import Torrent
from btresearch.peer.ssl_root import MAX_PEM_BYTES, ssl_root, with_ssl_root

PEM = b"-----BEGIN CERTIFICATE-----\n"


def _plain() -> Torrent:
    return Torrent.create(
        "a",
        [((), 5)],
        bytes(20),
        piece_length_bytes=16384,
        announce=[["http://t.test/announce"]],
        private=True,
    )


def test_the_authority_is_part_of_the_infohash_and_nothing_else_changes() -> None:
    plain = _plain()
    ssl = Torrent.load(with_ssl_root(plain, PEM).dump())
    assert ssl_root(plain) is None
    assert ssl_root(ssl) == PEM
    assert ssl.infohash != plain.infohash
    assert (ssl.name, ssl.announce, ssl.private, ssl.pieces) == (
        plain.name,
        plain.announce,
        plain.private,
        plain.pieces,
    )


def test_as_libtorrent_reads_it() -> None:
    lt = pytest.importorskip("libtorrent")
    assert lt.torrent_info(lt.bdecode(with_ssl_root(_plain(), PEM).dump())).ssl_cert().encode() == PEM


def test_an_absurd_one_is_refused() -> None:
    with pytest.raises(InputError, match="ssl-cert"):
        ssl_root(with_ssl_root(_plain(), bytes(MAX_PEM_BYTES + 1)))
