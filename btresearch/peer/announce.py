"""The HTTP tracker's announce, both ends, without I/O: BEP 3, compact (BEP 23), IPv6 (BEP 7)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, urlencode

from btresearch.errors import BtresearchError, InputError, printable
from btresearch.peer import bencode, compact, query
from btresearch.peer.address import Address
from btresearch.peer.bencode import Encodable, Value
from btresearch.peer.errors import RemoteProtocolError

MIN_INTERVAL_S, DEFAULT_INTERVAL_S, MAX_INTERVAL_S = 5, 1800, 86_400
MAX_RESPONSE_BYTES = 1 << 20
MAX_PEERS = 2000
"""Peers that are taken from one response."""
MAX_HOST_BYTES = 255
MAX_REASON_CHARS = 200
MAX_QUERY_BYTES = 4096
MAX_FIELDS = 50
DEFAULT_NUMWANT, MAX_NUMWANT = 50, 200
MAX_ASKED_NUMWANT = 1 << 31
MAX_COUNT = 1 << 62
MAX_DIGITS = 19

AnnounceEvent = Literal["", "started", "completed", "stopped"]
_EVENTS: Mapping[bytes, AnnounceEvent] = {
    b"": "",
    b"empty": "",
    b"paused": "",  # BEP 21; for a tracker without its counts, a regular announce
    b"started": "started",
    b"completed": "completed",
    b"stopped": "stopped",
}


class TrackerFailure(BtresearchError):
    """The tracker answered with a failure reason."""


@dataclass(frozen=True, slots=True)
class AnnounceRequest:
    """What a client tells a tracker; uploaded, downloaded and left in bytes."""

    infohash: bytes
    peer_id: bytes
    port: int
    uploaded: int = 0
    downloaded: int = 0
    left: int = 0
    event: AnnounceEvent = ""
    compact: bool = True
    numwant: int = DEFAULT_NUMWANT

    def query(self) -> str:
        """The query string; infohash and peer_id are percent-encoded byte by byte."""
        return urlencode(list(self._parameters()), quote_via=quote)

    def url(self, announce: str) -> str:
        """`announce` with the query, keeping what the URL has already (passkeys)."""
        return f"{announce}{'&' if '?' in announce else '?'}{self.query()}"

    def _parameters(self) -> Iterator[tuple[str, str | bytes | int]]:
        yield "info_hash", self.infohash
        yield "peer_id", self.peer_id
        yield "port", self.port
        yield "uploaded", self.uploaded
        yield "downloaded", self.downloaded
        yield "left", self.left
        yield "compact", int(self.compact)
        yield "numwant", self.numwant
        if self.event:
            yield "event", self.event


@dataclass(frozen=True, slots=True)
class AnnounceResponse:
    """What a tracker answers; `seeds` and `leeches` are its counts, None if it gave none."""

    interval_s: int
    peers: tuple[Address, ...] = ()
    seeds: int | None = None
    leeches: int | None = None


def parse_query(text: str) -> AnnounceRequest:
    """The tracker's side of `AnnounceRequest.query`, with at most 200 peers wanted.

    The `ip` parameter is ignored: it would let anyone aim a swarm at a third party.

    Raises:
        RemoteProtocolError: what BEP 3 does not allow; the message serves as failure reason.
    """
    read = query.read(text, max_bytes=MAX_QUERY_BYTES, max_fields=MAX_FIELDS)
    fields = {key: values[0] for key, values in read.items()}
    if (event := _EVENTS.get(fields.get(b"event", b""))) is None:
        raise RemoteProtocolError("unknown event")
    numwant = _number(fields, "numwant", DEFAULT_NUMWANT, low=-1, high=MAX_ASKED_NUMWANT)
    return AnnounceRequest(
        infohash=_twenty_bytes(fields, "info_hash"),
        peer_id=_twenty_bytes(fields, "peer_id"),
        port=_number(fields, "port", 0, low=1, high=65535),
        uploaded=_number(fields, "uploaded", 0),
        downloaded=_number(fields, "downloaded", 0),
        left=_number(fields, "left", 0),
        event=event,
        compact=fields.get(b"compact", b"1") != b"0",
        numwant=DEFAULT_NUMWANT if numwant < 0 else min(numwant, MAX_NUMWANT),
    )


def encode_response(response: AnnounceResponse, *, peer_ids: Sequence[bytes] | None = None) -> bytes:
    """The body of an answer: compact, IPv6 peers in `peers6`.

    With `peer_ids`, in the order of `response.peers`, BEP 3's list of dictionaries instead.
    """
    fields: dict[bytes, Encodable] = {b"interval": response.interval_s}
    if response.seeds is not None:
        fields[b"complete"] = response.seeds
    if response.leeches is not None:
        fields[b"incomplete"] = response.leeches
    if peer_ids is not None:
        return bencode.encode(fields | {b"peers": _dictionaries(response.peers, peer_ids)})
    fields[b"peers"], six = compact.encode(response.peers)
    return bencode.encode(fields | {b"peers6": six} if six else fields)


def encode_failure(reason: str) -> bytes:
    """The body that refuses a request."""
    return bencode.encode({b"failure reason": reason})


def decode_response(body: bytes) -> AnnounceResponse:
    """Read an answer; the interval is brought into 5 s..1 d, a client should not trust more.

    Raises:
        TrackerFailure: the tracker refused.
        RemoteProtocolError: the body is no tracker's answer.
    """
    fields = _dictionary(body)
    if (reason := fields.get(b"failure reason")) is not None:
        shown = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else repr(reason)
        raise TrackerFailure(f"refused: {printable(shown, MAX_REASON_CHARS)}")
    peers6 = fields.get(b"peers6")
    peers = [
        *_peers(fields.get(b"peers", b"")),
        *compact.decode_ipv6(peers6 if isinstance(peers6, bytes) else b""),
    ]
    return AnnounceResponse(
        interval_s=_interval_s(fields.get(b"interval")),
        peers=tuple(dict.fromkeys(peers))[:MAX_PEERS],
        seeds=_count(fields.get(b"complete")),
        leeches=_count(fields.get(b"incomplete")),
    )


def _dictionaries(peers: Sequence[Address], peer_ids: Sequence[bytes]) -> list[Encodable]:
    return [
        {b"ip": peer.host, b"peer id": peer_id, b"port": peer.port}
        for peer, peer_id in zip(peers, peer_ids, strict=True)
    ]


def _dictionary(body: bytes) -> dict[bytes, Value]:
    if len(body) > MAX_RESPONSE_BYTES:
        raise RemoteProtocolError(f"answer over {MAX_RESPONSE_BYTES} bytes")
    try:
        fields = bencode.decode(body, source="tracker's answer")
    except InputError as error:
        raise RemoteProtocolError(f"unreadable answer: {error}") from error
    if not isinstance(fields, dict):
        raise RemoteProtocolError("unreadable answer: expected a bencoded dictionary")
    return fields


def _peers(listed: Value) -> list[Address]:
    if isinstance(listed, bytes):
        return compact.decode_ipv4(listed)
    if isinstance(listed, list):
        return [address for entry in listed if (address := _from_dictionary(entry))]
    raise RemoteProtocolError("unreadable answer: peers are neither a string nor a list")


def _from_dictionary(entry: Value) -> Address | None:
    host, port = (entry.get(b"ip"), entry.get(b"port")) if isinstance(entry, dict) else (None, None)
    if not isinstance(host, bytes) or not isinstance(port, int) or not 0 < port < 65536:
        return None
    if not 0 < len(host) <= MAX_HOST_BYTES or not host.isascii() or not host.decode().isprintable():
        return None
    return Address.of(host.decode(), port)


def _interval_s(value: Value | None) -> int:
    if not isinstance(value, int):
        return DEFAULT_INTERVAL_S
    return max(MIN_INTERVAL_S, min(MAX_INTERVAL_S, value))


def _count(value: Value | None) -> int | None:
    return value if isinstance(value, int) and value >= 0 else None


def _twenty_bytes(fields: Mapping[bytes, bytes], name: str) -> bytes:
    value = fields.get(name.encode(), b"")
    if len(value) != 20:
        raise RemoteProtocolError(f"{name} must be 20 bytes")
    return value


def _number(
    fields: Mapping[bytes, bytes], name: str, default: int, *, low: int = 0, high: int = MAX_COUNT
) -> int:
    text = fields.get(name.encode(), b"")
    digits = text.removeprefix(b"-")
    if text and (not digits.isdigit() or len(digits) > MAX_DIGITS):
        raise RemoteProtocolError(f"{name} must be a number")
    value = int(text) if text else default
    if not low <= value <= high:
        raise RemoteProtocolError(f"{name} out of range")
    return value
