"""The worked example that the BEP shows in full: one connection at level Strict, as text of 70 columns."""

from __future__ import annotations

from collections.abc import Iterator

from btresearch.bep.examples import CHANNEL, SECRET, V2
from btresearch.transport.btls import hello
from btresearch.transport.btls.keys import TorrentKey

_NAME_COLUMNS = 18
_HEX_COLUMNS = 48
_PAD_BYTES = 4


def text() -> bytes:
    """The example, a field a line, hexadecimal digits wrapped."""
    return "".join(line for name, value in _fields() for line in _lines(name, value)).encode("ascii")


def _fields() -> Iterator[tuple[str, bytes]]:
    key = TorrentKey.derive(V2, "strict", SECRET)
    yield "infohash (v2)", V2
    yield "secret32", SECRET
    yield "SK", key.SK
    yield "LID", key.lid
    yield "discovery id", key.discovery_id
    yield "EKM", CHANNEL.EKM
    yield "K", CHANNEL.K
    yield "tag", key.tag(CHANNEL.K)
    yield "initiator proof", key.proof("initiator", CHANNEL.EKM)
    yield "responder proof", key.proof("responder", CHANNEL.EKM)
    yield "initiator Hello", hello.encode(key, "initiator", CHANNEL, _PAD_BYTES)


def _lines(name: str, value: bytes) -> Iterator[str]:
    digits = value.hex()
    for start in range(0, len(digits), _HEX_COLUMNS):
        yield f"{'' if start else name:{_NAME_COLUMNS}}{digits[start : start + _HEX_COLUMNS]}\n"
