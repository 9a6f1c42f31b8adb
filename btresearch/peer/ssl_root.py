"""`ssl-cert` of the info dictionary: the authority of an SSL torrent (libtorrent 2.1.1, `create_torrent`)."""

from __future__ import annotations

from typing import cast

from btresearch.errors import InputError
from btresearch.peer import bencode
from btresearch.peer.bencode import Encodable, Value
from btresearch.peer.torrent import Torrent

KEY = b"ssl-cert"
MAX_PEM_BYTES = 64 * 1024


def ssl_root(torrent: Torrent) -> bytes | None:
    """The authority's certificate in PEM, or None: no SSL torrent. Raises InputError for one of absurd size."""
    pem = _info(torrent).get(KEY)
    if not isinstance(pem, bytes):
        return None
    if len(pem) > MAX_PEM_BYTES:
        raise InputError("info.ssl-cert", f"at most {MAX_PEM_BYTES} bytes, not {len(pem)}")
    return pem


def with_ssl_root(torrent: Torrent, pem: bytes) -> Torrent:
    """The same content as an SSL torrent: another info dictionary, so another infohash."""
    fields = cast("dict[bytes, Encodable]", bencode.decode(torrent.dump()))
    fields[b"info"] = cast("dict[bytes, Encodable]", _info(torrent) | {KEY: pem})
    return Torrent.load(bencode.encode(fields))


def _info(torrent: Torrent) -> dict[bytes, Value]:
    return cast("dict[bytes, Value]", bencode.decode(torrent.info_bytes))
