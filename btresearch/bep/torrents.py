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
from btresearch.peer.tls_info import MAX_TLS_BYTES, TlsInfo, decode_link, encode_link

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
    yield from _bounds()
    yield case("secret", "the secret in the info dictionary", _STRICT | {b"secret": SECRET})
    yield "unsorted", b"d1:vi1e5:level6:strict6:commit32:" + _COMMIT + b"e", "keys out of order"
    yield "no_dictionary", b"i1e", "an integer"
    rest = b"5:level6:strict1:vi1e"
    yield "repeated", b"d6:commit32:" + _COMMIT + rest + b"1:vi1ee", "a key twice"
    yield "leading_zero", b"d6:commit32:" + _COMMIT + b"5:level6:strict1:vi01ee", "v = 01"
    yield "length_zero", b"d6:commit032:" + _COMMIT + rest + b"e", "a length of 032"
    yield "minus_zero", b"d6:commit32:" + _COMMIT + rest + b"1:xi-0ee", "-0 in an unknown key"
    yield "rest_behind", bencode.encode(_STRICT) + b"e", "a byte follows"


def _bounds() -> Iterator[tuple[str, bytes, str]]:
    def case(name: str, comment: str, fields: Mapping[bytes, Encodable]) -> tuple[str, bytes, str]:
        return name, bencode.encode(fields), comment

    def tracker(name: str, origin: str, comment: str) -> tuple[str, bytes, str]:
        return case(name, comment, _STRICT | {b"trackers": [origin]})

    spare = MAX_TLS_BYTES - len(bencode.encode(_STRICT | {b"x": bytes(8000)})) + 8000
    yield case("longest", "8192 bytes", _STRICT | {b"x": bytes(spare)})
    yield case("too_long", "8193 bytes", _STRICT | {b"x": bytes(spare + 1)})
    yield case("deepest", "16 levels", _STRICT | {b"x": _nested(15)})
    yield case("too_deep", "17 levels", _STRICT | {b"x": _nested(16)})
    yield case("digits", "20 digits", _STRICT | {b"x": 10**19})
    yield case("v_text", "v is a string", _STRICT | {b"v": b"1"})
    yield case("level_number", "level is an integer", _STRICT | {b"level": 1})
    yield case("kdf_more", "a key more in kdf", _STRICT | {b"kdf": {**_SCRYPT, b"x": 1}})
    yield case("ca_16", "16 CAs, all the same", _FULL | {b"ca": [_CA] * 16})
    yield case("ca_short", "a hash of 31 bytes", _FULL | {b"ca": [_CA[:31]]})
    yield case("ca_text", "ca is a string", _FULL | {b"ca": _CA})
    yield case("strict_est", "est at level strict", _STRICT | {b"est": _EST})
    yield case("strict_empty_ca", "ca at level strict, empty", _STRICT | {b"ca": []})
    yield case("no_est", "full without est", {k: v for k, v in _FULL.items() if k != b"est"})
    yield case("no_trackers", "an empty list", _STRICT | {b"trackers": []})
    yield case("trackers_text", "trackers is a string", _STRICT | {b"trackers": _TRACKERS[0]})
    yield case("trackers_16", "16 origins", _STRICT | {b"trackers": [_TRACKERS[0]] * 16})
    yield case("trackers_17", "17 origins", _STRICT | {b"trackers": [_TRACKERS[0]] * 17})
    long = "https://" + ".".join(["a" * 63] * 4) + "." + "b" * 36
    yield tracker("origin_300", long, "300 characters")
    yield tracker("origin_301", long + "b", "301 characters")
    yield tracker("host_case", "https://Example.org", "a host in upper case")
    yield tracker("host_label", "https://a..example.org", "an empty label")
    yield tracker("host_hyphen", "https://-a.example.org", "a hyphen at the start of a label")
    yield tracker("host_64", f"https://{'a' * 64}.org", "a label of 64 characters")
    yield tracker("host_underscore", "https://a_b.example.org", "no letter, digit or hyphen")
    yield tracker("host_ipv4", "https://192.0.2.1", "IPv4")
    yield tracker("host_ipv4_part", "https://192.0.2.256", "no IPv4")
    yield tracker("host_ipv4_short", "https://192.0.2", "IPv4 in three parts")
    yield tracker("host_ipv6", "https://[2001:db8::1]", "IPv6")
    yield tracker("host_ipv6_long", "https://[2001:db8:0::1]", "not the form of RFC 5952")
    yield tracker("host_ipv6_mapped", "https://[::ffff:c000:201]", "IPv4 in IPv6")
    yield tracker("port", "https://example.org:65535", "the highest")
    yield tracker("port_0", "https://example.org:0", "no port")
    yield tracker("port_65536", "https://example.org:65536", "no port")
    yield tracker("port_zero", "https://example.org:08443", "a leading zero")


def _nested(levels: int) -> Encodable:
    return [_nested(levels - 1)] if levels else b""


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
    wrong = _base64url(bencode.encode(_STRICT | {b"secret": example_bytes("other secret")}))
    yield "other_secret", wrong, strict.encode(), "the secret does not match commit"
    slashes = base64.b64encode(b"d" + bencode.encode(b"?>?") + b"i1e" + bencode.encode(_STRICT)[1:])
    text = slashes.decode().rstrip("=")
    yield "base64", text, strict.encode(), "the alphabet of section 4: + and /"
    odd = bencode.encode(_STRICT | {b"x": b""})
    raw = next(raw for raw in (strict.encode(), odd, bencode.encode(_STRICT | {b"x": b"1"})) if len(raw) % 3)
    spare = _base64url(raw)
    yield "unused_bits", spare[:-1] + chr(ord(spare[-1]) + 1), raw, "a bit that is not used is set"
    unsorted = b"d1:vi1e5:level6:strict6:commit32:" + _COMMIT + b"e"
    yield "unsorted", _base64url(unsorted), strict.encode(), "keys out of order"
    more = TlsInfo.decode(bencode.encode(_STRICT | {b"x": 1}), "tls")
    yield "unknown_key", encode_link(more, SECRET), more.encode(), "unknown keys are compared"
    yield "lacks_unknown_key", encode_link(more, SECRET), strict.encode(), "it is not there"
    longest = bencode.encode(_STRICT | {b"x": bytes(MAX_TLS_BYTES - 74)})
    long = TlsInfo.decode(longest, "tls")
    yield "longest", encode_link(long, SECRET), longest, "8192 bytes without the secret"
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
