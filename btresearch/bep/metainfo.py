"""Vectors of whole torrent files and their magnet links: from the file's bytes to its keys."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from btresearch.bep.examples import SECRET
from btresearch.bep.passphrases import KDF, PASSPHRASE, secret_of
from btresearch.bep.vector import Family, Vector, example_bytes
from btresearch.peer.authoring import FileHashes
from btresearch.peer.magnet import Magnet
from btresearch.peer.secret import commit_of
from btresearch.peer.tls_info import TlsInfo, encode_link
from btresearch.peer.torrent import Torrent
from btresearch.transport.btls.keys import TorrentKey

_NAME = "example.txt"
_CONTENT = b"BitTorrent over TLS\n"
_PIECE_LENGTH_BYTES = 16384
_STRICT = TlsInfo.create("strict", commit_of(SECRET))
_FULL = TlsInfo.create(
    "full", commit_of(SECRET), ca=(example_bytes("SubjectPublicKeyInfo of a CA"),), est="https://example.org"
)


def families() -> Iterator[Family]:
    """The family of this module."""
    v1 = hashlib.sha1(_CONTENT, usedforsecurity=False).digest()
    v2 = [FileHashes.of([hashlib.sha256(_CONTENT).digest()], _PIECE_LENGTH_BYTES)]
    yield Family(
        "metainfo",
        "Torrent Files and Magnet Links",
        "Torrents of one file of 20 bytes, each with its secret or passphrase: the file, its full infohashes and what "
        "follows from them, and a link that has it all. keys are in the order of infohashes.",
        [
            _vector("v1", _create(v1, None), "BEP 3"),
            _vector("v2", _create(b"", v2), "BEP 52"),
            _vector("hybrid", _create(v1, v2), "two infohashes, one secret, two keys"),
            _vector("full", _create(v1, v2, _FULL), "Full"),
            _vector(
                "passphrase", _create(v1, None, _with_passphrase(), None), "no secret inside", PASSPHRASE
            ),
        ],
    )


def _create(
    pieces: bytes, hashes: list[FileHashes] | None, tls: TlsInfo = _STRICT, secret: bytes | None = SECRET
) -> Torrent:
    return Torrent.create(
        _NAME,
        [((), len(_CONTENT))],
        pieces,
        piece_length_bytes=_PIECE_LENGTH_BYTES,
        tls=tls,
        secret=secret,
        hashes=hashes,
    )


def _with_passphrase() -> TlsInfo:
    return TlsInfo.create("strict", commit_of(secret_of(PASSPHRASE)), kdf=KDF)


def _vector(name: str, torrent: Torrent, comment: str, passphrase: str | None = None) -> Vector:
    tls = torrent.tls_info or _STRICT
    secret = SECRET if passphrase is None else secret_of(passphrase)
    keys = [TorrentKey.derive(infohash, tls.level, secret) for infohash in torrent.infohashes]
    link = Magnet(
        torrent.infohash,
        infohash_v2=torrent.infohash_v2,
        tls=encode_link(tls, torrent.secret),
    )
    return Vector(
        name,
        {"torrent": torrent.dump(with_secret=True), "passphrase_text": passphrase},
        {
            "level_text": tls.level,
            "secret32": secret,
            "infohashes": torrent.infohashes,
            "keys": [{"SK": key.SK, "discovery_id": key.discovery_id} for key in keys],
            "magnet_text": link.format(),
        },
        comment,
    )
