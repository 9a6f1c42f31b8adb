"""The HTTP tracker's announce, both ends, without I/O: BEP 3, compact (BEP 23), IPv6 (BEP 7), TLS signals."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import quote, urlencode, urlsplit

from btresearch.errors import BtresearchError, InputError, printable
from btresearch.peer import bencode, query, signals
from btresearch.peer.address import Address
from btresearch.peer.bencode import Encodable, Value
from btresearch.peer.errors import RemoteProtocolError
from btresearch.peer.known import PIN_BYTES, KnownPeer

MIN_INTERVAL_S, DEFAULT_INTERVAL_S, MAX_INTERVAL_S = 5, 1800, 86_400
MAX_RESPONSE_BYTES = 1 << 20
MAX_PEERS = 2000
"""Peers that are taken from one response."""
MAX_HOST_BYTES = 255
MAX_REASON_CHARS = 200
MAX_WARNINGS = 10
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
    """What a client tells a tracker; uploaded, downloaded and left in bytes.

    `supports_tls` and `requires_tls` say what this port speaks (`supporttls=1`, `requiretls=1`): for HTTPS
    trackers alone, since in clear they would announce the protocol to anyone on the way. So is `tls_pin`, SHA-256
    of the SPKI of the certificate that a member shows at level Full.
    """

    infohash: bytes
    peer_id: bytes
    port: int
    uploaded: int = 0
    downloaded: int = 0
    left: int = 0
    event: AnnounceEvent = ""
    compact: bool = True
    numwant: int = DEFAULT_NUMWANT
    supports_tls: bool = False
    requires_tls: bool = False
    tls_pin: bytes | None = None

    def query(self) -> str:
        """The query string; infohash and peer_id are percent-encoded byte by byte."""
        return urlencode(list(self._parameters()), quote_via=quote)

    def url(self, announce: str) -> str:
        """`announce` with the query, keeping what the URL has already (passkeys); no TLS signal in clear."""
        secure = urlsplit(announce).scheme == "https"
        said = self if secure else replace(self, supports_tls=False, requires_tls=False, tls_pin=None)
        return f"{announce}{'&' if '?' in announce else '?'}{said.query()}"

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
        if self.supports_tls or self.requires_tls:
            yield "supporttls", 1
        if self.requires_tls:
            yield "requiretls", 1
        if self.tls_pin:
            yield "tls_pin", self.tls_pin


@dataclass(frozen=True, slots=True)
class AnnounceResponse:
    """What a tracker answers; `seeds` and `leeches` are its counts, None if it gave none.

    `warnings`: what was ignored in it and why, and the tracker's own `warning message`. `external_ip`: the
    client's address as the tracker sees it (BEP 24).
    """

    interval_s: int
    peers: tuple[KnownPeer, ...] = ()
    seeds: int | None = None
    leeches: int | None = None
    warnings: tuple[str, ...] = ()
    external_ip: str = ""


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
    requires_tls = fields.get(b"requiretls") == b"1"
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
        supports_tls=requires_tls or fields.get(b"supporttls") == b"1",
        requires_tls=requires_tls,
        tls_pin=_pin(fields),
    )


def encode_response(response: AnnounceResponse, *, peer_ids: Sequence[bytes] | None = None) -> bytes:
    """The body of an answer: compact, IPv6 peers in `peers6`, what is known of their TLS beside them.

    With `peer_ids`, in the order of `response.peers`, BEP 3's list of dictionaries instead.
    """
    fields: dict[bytes, Encodable] = {b"interval": response.interval_s}
    if response.seeds is not None:
        fields[b"complete"] = response.seeds
    if response.leeches is not None:
        fields[b"incomplete"] = response.leeches
    if response.external_ip:
        fields[b"external ip"] = ipaddress.ip_address(response.external_ip).packed
    if peer_ids is not None:
        return bencode.encode(fields | {b"peers": _dictionaries(response.peers, peer_ids)})
    return bencode.encode(fields | signals.encode_compact(response.peers))


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
        raise TrackerFailure(f"refused: {_shown(reason)}")
    warning = fields.get(b"warning message")
    warnings = [] if warning is None else [f"it says: {_shown(warning)}"]
    peers: dict[Address, KnownPeer] = {}
    for peer in _peers(fields, warnings):
        peers.setdefault(peer.address, peer)
    return AnnounceResponse(
        interval_s=_interval_s(fields.get(b"interval")),
        peers=tuple(peers.values())[:MAX_PEERS],
        seeds=_count(fields.get(b"complete")),
        leeches=_count(fields.get(b"incomplete")),
        warnings=tuple(warnings[:MAX_WARNINGS]),
        external_ip=_external_ip(fields.get(b"external ip")),
    )


def _dictionaries(peers: Sequence[KnownPeer], peer_ids: Sequence[bytes]) -> list[Encodable]:
    return [_entry(peer, peer_id) for peer, peer_id in zip(peers, peer_ids, strict=True)]


def _entry(peer: KnownPeer, peer_id: bytes) -> dict[bytes, Encodable]:
    fields: dict[bytes, Encodable] = {b"ip": peer.address.host, b"port": peer.address.port}
    return fields | {b"peer id": peer_id} | signals.encode_entry(peer)


def _shown(text: Value) -> str:
    return printable(
        text.decode("utf-8", "replace") if isinstance(text, bytes) else repr(text), MAX_REASON_CHARS
    )


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


def _peers(fields: Mapping[bytes, Value], warnings: list[str]) -> list[KnownPeer]:
    listed = fields.get(b"peers", b"")
    if not isinstance(listed, bytes | list):
        raise RemoteProtocolError("unreadable answer: peers are neither a string nor a list")
    entries = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    named = [(address, entry) for entry in entries if (address := _address(entry))]
    return [
        *(signals.decode_entry(address, entry, warnings) for address, entry in named),
        *signals.decode_compact(fields, warnings),
    ]


def _address(entry: Mapping[bytes, Value]) -> Address | None:
    host, port = entry.get(b"ip"), entry.get(b"port")
    if not isinstance(host, bytes) or not isinstance(port, int) or not 0 < port < 65536:
        return None
    if not 0 < len(host) <= MAX_HOST_BYTES or not host.isascii() or not host.decode().isprintable():
        return None
    return Address.of(host.decode(), port)


def _external_ip(value: Value | None) -> str:
    return str(ipaddress.ip_address(value)) if isinstance(value, bytes) and len(value) in (4, 16) else ""


def _interval_s(value: Value | None) -> int:
    if not isinstance(value, int):
        return DEFAULT_INTERVAL_S
    return max(MIN_INTERVAL_S, min(MAX_INTERVAL_S, value))


def _count(value: Value | None) -> int | None:
    return value if isinstance(value, int) and value >= 0 else None


def _pin(fields: Mapping[bytes, bytes]) -> bytes | None:
    pin = fields.get(b"tls_pin")
    if pin is not None and len(pin) != PIN_BYTES:
        raise RemoteProtocolError(f"tls_pin must be {PIN_BYTES} bytes")
    return pin


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
