"""The HTTP tracker's announce, both ends, without I/O: BEP 3, compact (BEP 23), IPv6 (BEP 7)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, cast, get_args
from urllib.parse import parse_qsl, quote, urlencode

from btresearch.errors import BtresearchError, InputError
from btresearch.peer import bencode, compact
from btresearch.peer.bencode import Encodable, Value
from btresearch.peer.compact import PeerAddress
from btresearch.peer.errors import RemoteProtocolError

MIN_INTERVAL_S = 5
MAX_INTERVAL_S = 24 * 3600
DEFAULT_INTERVAL_S = 1800
MAX_PEERS = 2000
"""Peers that are taken from one response."""
MAX_RESPONSE_BYTES = 1 << 20
MAX_QUERY_CHARS = 4096
MAX_PARAMETERS = 50
DEFAULT_NUMWANT = 50
MAX_NUMWANT = 200
MAX_COUNT = 1 << 62
MAX_REASON_CHARS = 300

AnnounceEvent = Literal["", "started", "completed", "stopped"]


class TrackerFailure(BtresearchError):
    """The tracker answered with a failure reason."""


@dataclass(frozen=True, slots=True)
class AnnounceRequest:
    """What a client tells a tracker: sizes in bytes; `ip` only where the client insists on one."""

    infohash: bytes
    peer_id: bytes
    port: int
    uploaded: int = 0
    downloaded: int = 0
    left: int = 0
    event: AnnounceEvent = ""
    compact: bool = True
    numwant: int = DEFAULT_NUMWANT
    ip: str | None = None
    key: str | None = None
    tracker_id: str | None = None

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
        optional = {"event": self.event, "ip": self.ip, "key": self.key, "trackerid": self.tracker_id}
        yield from ((name, value) for name, value in optional.items() if value)


@dataclass(frozen=True, slots=True)
class AnnounceResponse:
    """What a tracker answers; `seeds` and `leeches` are its counts, None if it gave none."""

    interval_s: int
    peers: tuple[PeerAddress, ...]
    min_interval_s: int | None = None
    seeds: int | None = None
    leeches: int | None = None
    tracker_id: str | None = None
    warning: str | None = None


def parse_query(query: str) -> AnnounceRequest:
    """The tracker's side of `AnnounceRequest.query`. Raises InputError for what BEP 3 does not allow."""
    if len(query) > MAX_QUERY_CHARS:
        raise InputError("announce", f"a query of at most {MAX_QUERY_CHARS} characters")
    try:
        # latin-1 gives each percent-encoded byte back as one character
        pairs = parse_qsl(query, encoding="latin-1", max_num_fields=MAX_PARAMETERS)
    except ValueError as error:
        raise InputError("announce", f"at most {MAX_PARAMETERS} parameters") from error
    fields = dict(pairs)
    event = fields.get("event", "")
    if event not in get_args(AnnounceEvent):
        event = (
            ""  # later BEPs define more of them ("paused"); BEP 3 has unknown ones mean a regular announce
        )
    return AnnounceRequest(
        infohash=_twenty_bytes(fields, "info_hash"),
        peer_id=_twenty_bytes(fields, "peer_id"),
        port=_count(fields, "port", None, 65535, 1),
        uploaded=_count(fields, "uploaded", 0),
        downloaded=_count(fields, "downloaded", 0),
        left=_count(fields, "left", 0),
        event=cast("AnnounceEvent", event),
        compact=fields.get("compact", "1") != "0",
        numwant=min(_count(fields, "numwant", DEFAULT_NUMWANT), MAX_NUMWANT),
        ip=fields.get("ip"),
        key=fields.get("key"),
        tracker_id=fields.get("trackerid"),
    )


def encode_response(response: AnnounceResponse, *, compact_peers: bool = True) -> bytes:
    """The body of an answer; IPv6 peers go into `peers6` (compact) or among the others (not compact)."""
    fields: dict[bytes, Encodable] = {b"interval": response.interval_s}
    optional: dict[bytes, Encodable | None] = {
        b"min interval": response.min_interval_s,
        b"complete": response.seeds,
        b"incomplete": response.leeches,
        b"tracker id": response.tracker_id,
        b"warning message": response.warning,
    }
    fields |= {name: value for name, value in optional.items() if value is not None}
    if not compact_peers:
        return bencode.encode(
            fields | {b"peers": [{b"ip": peer.host, b"port": peer.port} for peer in response.peers]}
        )
    fields[b"peers"] = compact.encode_ipv4(response.peers)
    if peers6 := compact.encode_ipv6(response.peers):
        fields[b"peers6"] = peers6
    return bencode.encode(fields)


def encode_failure(reason: str) -> bytes:
    """The body that refuses an announce."""
    return bencode.encode({b"failure reason": reason})


def decode_response(body: bytes) -> AnnounceResponse:
    """Read an answer; the interval is brought into 5 s..1 d, a client should not trust more.

    Raises TrackerFailure if the tracker refused, RemoteProtocolError if the body is no tracker's answer.
    """
    fields = _dictionary(body)
    if (reason := fields.get(b"failure reason")) is not None:
        raise TrackerFailure(f"the tracker refused: {_text(reason)}")
    peers6 = fields.get(b"peers6", b"")
    peers = [
        *_peers(fields.get(b"peers", b"")),
        *compact.decode_ipv6(peers6 if isinstance(peers6, bytes) else b""),
    ]
    minimum, tracker_id = fields.get(b"min interval"), fields.get(b"tracker id")
    return AnnounceResponse(
        interval_s=_interval(fields.get(b"interval")),
        peers=tuple(dict.fromkeys(peers))[:MAX_PEERS],
        min_interval_s=_interval(minimum) if isinstance(minimum, int) else None,
        seeds=_optional_count(fields.get(b"complete")),
        leeches=_optional_count(fields.get(b"incomplete")),
        tracker_id=_text(tracker_id) if tracker_id is not None else None,
        warning=_text(fields[b"warning message"]) if b"warning message" in fields else None,
    )


def _dictionary(body: bytes) -> dict[bytes, Value]:
    if len(body) > MAX_RESPONSE_BYTES:
        raise RemoteProtocolError(f"tracker's answer of {len(body)} bytes, over {MAX_RESPONSE_BYTES}")
    try:
        fields, _ = bencode.decode_prefix(body, source="tracker's answer")
    except InputError as error:
        raise RemoteProtocolError(str(error)) from error
    if not isinstance(fields, dict):
        raise RemoteProtocolError("the tracker's answer is not a dictionary")
    return fields


def _peers(listed: Value) -> Iterator[PeerAddress]:
    if isinstance(listed, bytes):
        yield from compact.decode_ipv4(listed)
    elif isinstance(listed, list):
        for entry in listed:
            host, port = (entry.get(b"ip"), entry.get(b"port")) if isinstance(entry, dict) else (None, None)
            if isinstance(host, bytes) and isinstance(port, int) and 0 < port < 65536 and 0 < len(host) < 256:
                yield PeerAddress(_text(host), port)
    else:
        raise RemoteProtocolError("the tracker's peers are neither a string nor a list")


def _interval(value: Value | None) -> int:
    if not isinstance(value, int):
        return DEFAULT_INTERVAL_S
    return max(MIN_INTERVAL_S, min(MAX_INTERVAL_S, value))


def _optional_count(value: Value | None) -> int | None:
    return value if isinstance(value, int) and value >= 0 else None


def _text(value: Value) -> str:
    """For a person to read: bounded, and without what could steer a terminal."""
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return "".join(character for character in text[:MAX_REASON_CHARS] if character.isprintable())


def _twenty_bytes(fields: Mapping[str, str], name: str) -> bytes:
    value = fields.get(name, "").encode("latin-1")
    if len(value) != 20:
        raise InputError("announce", f"{name} of 20 bytes, not {len(value)}")
    return value


def _count(
    fields: Mapping[str, str], name: str, default: int | None, high: int = MAX_COUNT, low: int = 0
) -> int:
    text = fields.get(name)
    if text is None and default is not None:
        return default
    if text is None or not text.isascii() or not text.isdigit() or len(text) > 19:
        raise InputError("announce", f"{name} as a number, not {text!r:.40}")
    if not low <= int(text) <= high:
        raise InputError("announce", f"{name} from {low} to {high}, not {text}")
    return int(text)
