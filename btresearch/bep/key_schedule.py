"""Vectors of the key schedule: SK, LID, discovery id, tag and proofs at every level; exporter values."""

from __future__ import annotations

from collections.abc import Iterator

from btresearch.bep.examples import CHANNEL, OTHER_CHANNEL, SECRET, V1, V2
from btresearch.bep.vector import Family, Vector, example_bytes
from btresearch.transport.btls.exporter import tls13_exporter
from btresearch.transport.btls.keys import (
    EKM_BYTES,
    EXPORTER_LABEL,
    LOOKUP_KEY_BYTES,
    LOOKUP_LABEL,
    ChannelSecrets,
    Level,
    TorrentKey,
)

LEVELS: tuple[Level, ...] = ("basic", "strict", "full")
_COUNTING = ChannelSecrets(bytes(range(32)), bytes(range(16)))
_INFOHASHES = {
    "zero": (bytes(20), "an infohash of zeros", _COUNTING),
    "v1": (V1, "SHA-1 of 'bittorrent-tls'", CHANNEL),
    "v2": (V2, "SHA-256 of 'bittorrent-tls'", CHANNEL),
    "hybrid_v1": (V1, "a hybrid torrent's v1 key", OTHER_CHANNEL),
    "hybrid_v2": (V2, "the same torrent's v2 key: same secret, another key", OTHER_CHANNEL),
}


def keys() -> Family:
    """SK, LID, discovery id, tag and both proofs."""
    return Family(
        "key_schedule",
        "Keys",
        "From infohash, level and secret to the keys of a torrent, and with EKM and K to what is sent.",
        [_key_vector(name, level, *example) for level in LEVELS for name, example in _INFOHASHES.items()],
    )


def _key_vector(name: str, level: Level, infohash: bytes, comment: str, channel: ChannelSecrets) -> Vector:
    secret = b"" if level == "basic" else SECRET
    key = TorrentKey.derive(infohash, level, secret)
    outputs: dict[str, bytes | None] = {
        "SK": key.SK,
        "LID": key.lid,
        "discovery_id": None if level == "basic" else key.discovery_id,
        "tag": key.tag(channel.K),
        "initiator_proof": key.proof("initiator", channel.EKM),
        "responder_proof": key.proof("responder", channel.EKM),
    }
    inputs = {
        "level_text": level,
        "infohash": infohash,
        "secret32": secret or None,
        "EKM": channel.EKM,
        "K": channel.K,
    }
    return Vector(f"{level}_{name}", inputs, outputs, comment)


def exporter() -> Family:
    """EKM and K from the TLS 1.3 exporter secret."""
    return Family(
        "exporter",
        "The TLS Layer",
        "TLS-Exporter(label, empty context, length) of RFC 8446 section 7.5, from exporter_master_secret.",
        [_exporter_vector("sha256", 32), _exporter_vector("sha384", 48)],
    )


def _exporter_vector(name: str, size: int) -> Vector:
    master = example_bytes(f"exporter_master_secret {name}", size)
    return Vector(
        name,
        {"hash_text": name, "exporter_master_secret": master},
        {
            "EKM": tls13_exporter(master, EXPORTER_LABEL, b"", EKM_BYTES),
            "K": tls13_exporter(master, LOOKUP_LABEL, b"", LOOKUP_KEY_BYTES),
        },
        f"a cipher suite whose hash is {name.upper()}",
    )


def families() -> Iterator[Family]:
    """The families of this module."""
    yield keys()
    yield exporter()
