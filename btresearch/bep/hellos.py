"""Vectors of the Hello: encodings, and what a responder and an initiator make of good and bad ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from btresearch.bep.examples import CHANNEL, OTHER_CHANNEL, SECRET, V1, V2
from btresearch.bep.vector import Family, Plain, Vector
from btresearch.transport.btls import hello
from btresearch.transport.btls.keys import Role, TorrentKey
from btresearch.transport.shape import MAX_RECORD_BYTES

Decision = Literal["proven", "decoy", "close"]

KEY = TorrentKey.basic(V1)
_STRICT = TorrentKey.derive(V2, "strict", SECRET)
SERVED = (KEY, _STRICT)
"""What the responder of the vectors serves."""
_FULL = TorrentKey.derive(V2, "full", SECRET)
_HEAD = hello.HEAD_BYTES
_MAX_PAD_BYTES = MAX_RECORD_BYTES - _HEAD


def encodings() -> Family:
    """Hellos as they are sent, at the bounds of their pad."""
    cases: list[tuple[str, TorrentKey, Role, int, str]] = [
        ("no_pad", KEY, "initiator", 0, "the shortest Hello, 51 bytes"),
        (
            "browser_pad",
            KEY,
            "initiator",
            hello.INITIATOR_PAD_BYTES,
            "644 bytes: a record of 666 on the wire",
        ),
        ("longest_pad", KEY, "responder", _MAX_PAD_BYTES, "one whole record, 16384 bytes"),
        ("strict", _STRICT, "responder", 3, "nothing in it tells the level"),
        ("full", _FULL, "initiator", 3, "nothing in it tells the level"),
    ]
    return Family(
        "hello",
        "The Hello",
        "Hello = tag || proof || flags || pad_len || pad, with flags and pad of zeros. "
        "hello_head is its first 51 bytes; zeros follow up to hello_bytes.",
        [_encoding(*case) for case in cases],
    )


def _encoding(name: str, key: TorrentKey, role: Role, pad_bytes: int, comment: str) -> Vector:
    encoded = hello.encode(key, role, CHANNEL, pad_bytes)
    outputs: dict[str, Plain] = {"hello_head": encoded[:_HEAD], "hello_bytes": len(encoded)}
    return Vector(name, _inputs(key) | {"role_text": role, "pad_len": pad_bytes}, outputs, comment)


def _inputs(key: TorrentKey) -> dict[str, Plain]:
    return {
        "level_text": key.level,
        "infohash": key.infohash,
        "secret32": None if key.level == "basic" else SECRET,
        "EKM": CHANNEL.EKM,
        "K": CHANNEL.K,
    }


def decisions() -> Family:
    """First records, and what a responder that serves one torrent decides."""
    return Family(
        "first_record",
        "The Responder",
        "A responder serves these torrents; torrent is the place of the one that was proven. "
        "record is the content of the first application-data record. "
        "proven: it answers with its Hello. decoy: the record and all that follows is the decoy's. "
        "close: close_notify.",
        [_decision(name, record, decision, why) for name, record, decision, why in _records()],
    )


def _decision(name: str, record: bytes, decision: Decision, why: str) -> Vector:
    channel: dict[str, Plain] = {"EKM": CHANNEL.EKM, "K": CHANNEL.K}
    names = ("level_text", "infohash", "secret32")
    torrents: list[Plain] = [{name: _inputs(key)[name] for name in names} for key in SERVED]
    served = [at for at, key in enumerate(SERVED) if hello.proves(record, key, "initiator", CHANNEL)]
    outputs: dict[str, Plain] = {
        "decision_text": decision,
        "torrent": None if decision == "decoy" else served[0],
    }
    return Vector(name, {"torrents": torrents, **channel, "record": record}, outputs, why)


def _records() -> Iterator[tuple[str, bytes, Decision, str]]:
    good = hello.encode(KEY, "initiator", CHANNEL, 5)
    head = good[: _HEAD - 3]
    yield "good", good, "proven", "the pad fills the record"
    yield "shortest", hello.encode(KEY, "initiator", CHANNEL, 0), "proven", "51 bytes"
    yield "flags_set", head + b"\xff\x00\x02zz", "proven", "flags and pad are ignored on receipt"
    yield "one_short", hello.encode(KEY, "initiator", CHANNEL, 0)[:-1], "decoy", "50 bytes are no Hello"
    yield "one_byte", good[:1], "decoy", "neither is one"
    yield "pad_missing", good[:-1], "close", "proven, but pad_len is 5 and 4 bytes are there"
    yield "rest_behind", good + b"\x13", "close", "proven, but a byte follows the pad"
    yield "pad_too_long", head + b"\x00\x3f\xce", "close", "proven, but pad_len is 16334"
    yield "bad_proof", good[:47] + bytes([good[47] ^ 1]) + good[48:], "decoy", "one bit of the proof is wrong"
    yield "bad_tag", bytes([good[0] ^ 1]) + good[1:], "decoy", "one bit of the tag is wrong"
    yield "reflected", hello.encode(KEY, "responder", CHANNEL, 5), "decoy", "the responder's role"
    yield "replayed", hello.encode(KEY, "initiator", OTHER_CHANNEL, 5), "decoy", "of another connection"
    yield "strict", hello.encode(_STRICT, "initiator", CHANNEL, 5), "proven", "the second torrent"
    yield (
        "lower_level",
        hello.encode(TorrentKey.basic(V2), "initiator", CHANNEL, 5),
        "decoy",
        "the second at Basic",
    )
    yield "higher_level", hello.encode(_FULL, "initiator", CHANNEL, 5), "decoy", "the second at Full"
    mixed = good[:16] + hello.encode(_STRICT, "initiator", CHANNEL, 5)[16:]
    yield "mixed", mixed, "decoy", "the tag of the first and the proof of the second"
    yield "http", b"GET / HTTP/1.1\r\nHost: 192.0.2.1\r\nAccept: */*\r\n\r\n\r\n\r\n", "decoy", "a browser"
    yield "http_method", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(40), "decoy", "HTTP/2 without ALPN"


def families() -> Iterator[Family]:
    """The families of this module."""
    yield encodings()
    yield decisions()
