"""Vectors of `tls` in torrent files and `x.tls` in magnet links: made, read, compared and refused."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping

from btresearch.bep.examples import SECRET
from btresearch.bep.passphrases import KDF
from btresearch.bep.vector import Family, Plain, Vector, example_bytes
from btresearch.errors import InputError
from btresearch.peer import bencode
from btresearch.peer.bencode import Encodable
from btresearch.peer.secret import commit_of
from btresearch.peer.tls_info import TlsInfo, decode_link, encode_link

_COMMIT = commit_of(SECRET)
_CA = example_bytes("SubjectPublicKeyInfo of a CA")
_EST = "https://example.org:8443"
_TRACKERS = ("https://tracker.example.org", "https://[2001:db8::1]:8443")
_STRICT: dict[bytes, Encodable] = {b"v": 1, b"level": b"strict", b"commit": _COMMIT}
_FULL: dict[bytes, Encodable] = _STRICT | {b"level": b"full", b"ca": [_CA], b"est": _EST}
_SCRYPT: dict[bytes, Encodable] = {b"name": b"scrypt", b"salt": KDF.salt, b"n": 131072, b"r": 8, b"p": 1}


def made() -> Family:
    """Dictionaries as they are written, and the links that carry them."""
    cases = {
        "strict": TlsInfo.create("strict", _COMMIT),
        "strict_passphrase": TlsInfo.create("strict", _COMMIT, kdf=KDF),
        "strict_trackers": TlsInfo.create("strict", _COMMIT, trackers=_TRACKERS),
        "full": TlsInfo.create("full", _COMMIT, ca=(_CA,), est=_EST),
    }
    return Family(
        "torrents",
        "Torrent Files and Magnet Links",
        "tls is the bencoded value of the key in the info dictionary; x_tls_text is the parameter of a link "
        "without, x_tls_secret_text with secret32.",
        [_made(name, tls) for name, tls in cases.items()],
    )


def _made(name: str, tls: TlsInfo) -> Vector:
    inputs: dict[str, Plain] = {
        "level_text": tls.level,
        "secret32": SECRET,
        "commit": tls.commit,
        "salt": tls.kdf.salt if tls.kdf else None,
        "ca": tls.ca,
        "est_text": tls.est,
        "trackers_text": tls.trackers,
    }
    outputs: dict[str, Plain] = {
        "tls": tls.encode(),
        "x_tls_text": encode_link(tls),
        "x_tls_secret_text": None if tls.kdf else encode_link(tls, SECRET),
    }
    return Vector(name, inputs, outputs)


def judged() -> Family:
    """Dictionaries that a reader accepts and refuses."""
    return Family(
        "torrents_read",
        "Torrent Files and Magnet Links",
        "Whether a torrent with this value of tls in its info dictionary is accepted.",
        [
            Vector(name, {"tls": raw}, {"accepted": _accepts(raw)}, comment)
            for name, raw, comment in _dictionaries()
        ],
    )


def _dictionaries() -> Iterator[tuple[str, bytes, str]]:
    def case(name: str, comment: str, fields: Mapping[bytes, Encodable]) -> tuple[str, bytes, str]:
        return name, bencode.encode(fields), comment

    yield case("strict", "the shortest", _STRICT)
    yield case("unknown_key", "unknown keys are ignored, and kept", _STRICT | {b"x": 1})
    yield case("passphrase", "scrypt", _STRICT | {b"kdf": _SCRYPT})
    yield case("full", "with ca and est", _FULL)
    yield case("version", "v = 2", _STRICT | {b"v": 2})
    yield case("no_version", "v is missing", {k: v for k, v in _STRICT.items() if k != b"v"})
    yield case("level", "a level that is not known", _STRICT | {b"level": b"basic"})
    yield case("commit", "31 bytes", _STRICT | {b"commit": _COMMIT[:31]})
    yield case("kdf_cheap", "other parameters", _STRICT | {b"kdf": {**_SCRYPT, b"n": 16384}})
    yield case("kdf_name", "another function", _STRICT | {b"kdf": {**_SCRYPT, b"name": b"argon2id"}})
    yield case("salt", "15 bytes", _STRICT | {b"kdf": {**_SCRYPT, b"salt": KDF.salt[:15]}})
    yield case("strict_ca", "ca at level strict", _STRICT | {b"ca": [_CA]})
    yield case("no_ca", "full without ca", {k: v for k, v in _FULL.items() if k != b"ca"})
    yield case("empty_ca", "full with no CA in ca", _FULL | {b"ca": []})
    yield case("many_ca", "17 CAs", _FULL | {b"ca": [_CA] * 17})
    yield case("est_http", "est without TLS", _FULL | {b"est": b"http://example.org"})
    yield case("est_path", "est with a path", _FULL | {b"est": b"https://example.org/"})
    yield case(
        "tracker_path", "a tracker with a path", _STRICT | {b"trackers": [b"https://example.org/announce"]}
    )
    yield case("default_port", "443 is not written", _STRICT | {b"trackers": [b"https://example.org:443"]})
    yield case("secret", "the secret in the info dictionary", _STRICT | {b"secret": SECRET})
    yield "unsorted", b"d1:vi1e5:level6:strict6:commit32:" + _COMMIT + b"e", "keys out of order"
    yield "no_dictionary", b"i1e", "an integer"


def _accepts(raw: bytes) -> bool:
    try:
        TlsInfo.decode(raw, "tls")
    except InputError:
        return False
    return True


def links() -> Family:
    """Links, and whether they fit the metadata that a peer then received."""
    return Family(
        "links",
        "Torrent Files and Magnet Links",
        "Whether the link is read, and if so its secret and whether tls of the received info dictionary fits it.",
        [_link(*case) for case in _links()],
    )


def _links() -> Iterator[tuple[str, str, bytes, str]]:
    strict, full = (
        TlsInfo.decode(bencode.encode(_STRICT), "tls"),
        TlsInfo.decode(bencode.encode(_FULL), "tls"),
    )
    other = TlsInfo.create("strict", commit_of(example_bytes("other secret")))
    both = bencode.encode(_STRICT | {b"kdf": _SCRYPT, b"secret": SECRET})
    yield "fits", encode_link(strict, SECRET), strict.encode(), "the same but for the secret"
    yield "no_secret", encode_link(full), full.encode(), "the secret comes another way"
    yield "other_commit", encode_link(strict), other.encode(), "another torrent's dictionary"
    yield "other_level", encode_link(full), strict.encode(), "a level was stripped"
    yield "padded", encode_link(strict, SECRET) + "=", strict.encode(), "no padding in x.tls"
    yield "both", _base64url(both), strict.encode(), "kdf and secret"
    yield (
        "short_secret",
        _base64url(bencode.encode(_STRICT | {b"secret": SECRET[:31]})),
        strict.encode(),
        "31 bytes",
    )
    yield "not_bencoded", _base64url(b"tls"), strict.encode(), "no dictionary"


def _link(name: str, text: str, tls: bytes, comment: str) -> Vector:
    inputs: dict[str, Plain] = {"x_tls_text": text, "tls": tls}
    try:
        told, secret = decode_link(text)
    except InputError:
        return Vector(name, inputs, {"read": False, "secret32": None, "fits": False}, comment)
    return Vector(name, inputs, {"read": True, "secret32": secret, "fits": told.encode() == tls}, comment)


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def families() -> Iterator[Family]:
    """The families of this module."""
    yield made()
    yield judged()
    yield links()
