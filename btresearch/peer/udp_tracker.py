"""The UDP tracker protocol, BEP 15, both ends, without I/O; IPv6 answers, and BEP 41's options.

Packets are judged by the caller's transaction id: a datagram that does not fit it is no answer. Nothing here
says that a peer speaks TLS: these packets are in clear.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from btresearch.errors import printable
from btresearch.peer import compact
from btresearch.peer.address import Address
from btresearch.peer.announce import (
    DEFAULT_NUMWANT,
    MAX_INTERVAL_S,
    MAX_NUMWANT,
    MAX_PEERS,
    MAX_REASON_CHARS,
    MIN_INTERVAL_S,
    AnnounceEvent,
    AnnounceRequest,
    AnnounceResponse,
    TrackerFailure,
)
from btresearch.peer.errors import RemoteProtocolError
from btresearch.peer.known import KnownPeer

PROTOCOL_ID = 0x41727101980
CONNECTION_LIFE_S = 60
"""BEP 15: how long a client may use a connection id."""
ACCEPTED_LIFE_S = 120
"""BEP 15: how long a tracker should accept it."""
FIRST_WAIT_S, MAX_RETRIES = 15.0, 8
"""BEP 15: a request is repeated after 15 * 2^n seconds, n up to 8."""
MAX_PACKET_BYTES = 4096
MAX_SCRAPE = 74
"""BEP 15: infohashes in one scrape."""
MAX_URL_BYTES = 2048
MAX_OPTIONS = 16

_CONNECT = struct.Struct(">QII")
_CONNECTED = struct.Struct(">IIQ")
_HEAD = struct.Struct(">QII")
_ANNOUNCE = struct.Struct(">QII20s20sQQQIIIiH")
_ANNOUNCED = struct.Struct(">IIIII")
_COUNTS = struct.Struct(">III")
_EVENTS: Mapping[AnnounceEvent, int] = {"": 0, "completed": 1, "started": 2, "stopped": 3}
_EVENT_NAMES: Mapping[int, AnnounceEvent] = {number: name for name, number in _EVENTS.items()}
_OPTION_END, _OPTION_NOP, _OPTION_URL = 0, 1, 2  # BEP 41


class Action(IntEnum):
    """What a packet is."""

    CONNECT = 0
    ANNOUNCE = 1
    SCRAPE = 2
    ERROR = 3


@dataclass(frozen=True, slots=True)
class Counts:
    """What a scrape says of one torrent."""

    seeds: int
    downloaded: int
    leeches: int


@dataclass(frozen=True, slots=True)
class Connect:
    """A client asks for a connection id."""

    transaction: int


@dataclass(frozen=True, slots=True)
class Announce:
    """A client's announce; `request_path` is the announce URL's path and query (BEP 41), if it has one."""

    connection: int
    transaction: int
    request: AnnounceRequest
    key: int = 0
    request_path: str = ""


@dataclass(frozen=True, slots=True)
class Scrape:
    """A client's scrape."""

    connection: int
    transaction: int
    infohashes: tuple[bytes, ...]


Request = Connect | Announce | Scrape


# --- the client's end


def connect(transaction: int) -> bytes:
    """Ask for a connection id."""
    return _CONNECT.pack(PROTOCOL_ID, Action.CONNECT, transaction)


def announce(
    connection: int, transaction: int, request: AnnounceRequest, *, key: int, request_path: str = ""
) -> bytes:
    """Announce; the IP address field is 0: the tracker takes the packet's source."""
    packet = _ANNOUNCE.pack(
        connection,
        Action.ANNOUNCE,
        transaction,
        request.infohash,
        request.peer_id,
        request.downloaded,
        request.left,
        request.uploaded,
        _EVENTS[request.event],
        0,
        key,
        request.numwant,
        request.port,
    )
    return packet + _url_options(request_path)


def scrape(connection: int, transaction: int, infohashes: Sequence[bytes]) -> bytes:
    """Ask for the counts of up to 74 torrents."""
    return _HEAD.pack(connection, Action.SCRAPE, transaction) + b"".join(infohashes[:MAX_SCRAPE])


def is_answer(packet: bytes, transaction: int) -> bool:
    """Whether `packet` answers the request with this transaction id; any other datagram is to be ignored."""
    return len(packet) >= 8 and int.from_bytes(packet[4:8], "big") == transaction


def connected(packet: bytes) -> int:
    """The connection id. Raises TrackerFailure, RemoteProtocolError."""
    _expect(packet, Action.CONNECT, _CONNECTED.size)
    return int(_CONNECTED.unpack_from(packet)[2])


def announced(packet: bytes, *, ipv6: bool) -> AnnounceResponse:
    """The answer; addresses are of the family that the packet came over. Raises TrackerFailure, RemoteProtocolError."""
    _expect(packet, Action.ANNOUNCE, _ANNOUNCED.size)
    _, _, interval_s, leeches, seeds = _ANNOUNCED.unpack_from(packet)
    listed = compact.entries(packet[_ANNOUNCED.size :], compact.IPV6_BYTES if ipv6 else compact.IPV4_BYTES)
    peers = dict.fromkeys(address for address in listed if address)
    return AnnounceResponse(
        interval_s=max(MIN_INTERVAL_S, min(MAX_INTERVAL_S, interval_s)),
        peers=tuple(map(KnownPeer, peers))[:MAX_PEERS],
        seeds=seeds,
        leeches=leeches,
    )


def scraped(packet: bytes, count: int) -> tuple[Counts, ...]:
    """The counts of `count` torrents, in the order of the request. Raises TrackerFailure, RemoteProtocolError."""
    _expect(packet, Action.SCRAPE, 8 + count * _COUNTS.size)
    return tuple(Counts(*_COUNTS.unpack_from(packet, 8 + number * _COUNTS.size)) for number in range(count))


def _expect(packet: bytes, action: Action, size: int) -> None:
    if len(packet) < 8 or len(packet) > MAX_PACKET_BYTES:
        raise RemoteProtocolError(f"packet of {len(packet)} bytes")
    found = int.from_bytes(packet[:4], "big")
    if found == Action.ERROR:
        reason = packet[8:].rstrip(b"\0").decode("utf-8", "replace")
        raise TrackerFailure(f"refused: {printable(reason, MAX_REASON_CHARS)}")
    if found != action or len(packet) < size:
        raise RemoteProtocolError(
            f"action {found} in {len(packet)} bytes, expected {action} in {size} or more"
        )


def _url_options(request_path: str) -> bytes:
    """BEP 41: the path and query of the announce URL, in parts of at most 255 bytes."""
    data = request_path.encode()[:MAX_URL_BYTES]
    parts = [data[at : at + 255] for at in range(0, len(data), 255)]
    return b"".join(bytes([_OPTION_URL, len(part)]) + part for part in parts)


# --- the tracker's end


def parse(packet: bytes) -> Request:
    """A client's packet. Raises RemoteProtocolError; a tracker answers that, if at all, once the id is proven."""
    if not 16 <= len(packet) <= MAX_PACKET_BYTES:
        raise RemoteProtocolError(f"packet of {len(packet)} bytes")
    connection, action, transaction = _HEAD.unpack_from(packet)
    if action == Action.CONNECT and connection == PROTOCOL_ID:
        return Connect(transaction)
    if action == Action.ANNOUNCE and len(packet) >= _ANNOUNCE.size:
        return _announce(packet)
    if action == Action.SCRAPE and len(packet) >= 36:
        hashes = (packet[at : at + 20] for at in range(16, len(packet) - 19, 20))
        return Scrape(connection, transaction, tuple(hashes)[:MAX_SCRAPE])
    raise RemoteProtocolError(f"action {action} in {len(packet)} bytes")


def _announce(packet: bytes) -> Announce:
    fields = _ANNOUNCE.unpack_from(packet)
    connection, _, transaction, infohash, peer_id, downloaded, left, uploaded, event, _, key, want, port = (
        fields
    )
    if event not in _EVENT_NAMES or not port:
        raise RemoteProtocolError("unknown event" if port else "port out of range")
    request = AnnounceRequest(
        infohash=infohash,
        peer_id=peer_id,
        port=port,
        uploaded=uploaded,
        downloaded=downloaded,
        left=left,
        event=_EVENT_NAMES[event],
        numwant=DEFAULT_NUMWANT if want < 0 else min(want, MAX_NUMWANT),
    )
    return Announce(connection, transaction, request, key, _request_path(packet[_ANNOUNCE.size :]))


def _request_path(options: bytes) -> str:
    """BEP 41's URLData, put together; what is cut short or unknown ends it."""
    path, at = b"", 0
    for _ in range(MAX_OPTIONS):
        kind = options[at] if at < len(options) else _OPTION_END
        if kind == _OPTION_NOP:
            at += 1
            continue
        if kind == _OPTION_END or at + 1 >= len(options):
            break
        length = options[at + 1]
        if kind == _OPTION_URL:
            path += options[at + 2 : at + 2 + length]
        at += 2 + length
    return path[:MAX_URL_BYTES].decode("utf-8", "replace")


def answer_connect(transaction: int, connection: int) -> bytes:
    """Give a connection id."""
    return _CONNECTED.pack(Action.CONNECT, transaction, connection)


def answer_announce(transaction: int, response: AnnounceResponse, *, ipv6: bool) -> bytes:
    """Name peers of the family that the request came over."""
    head = _ANNOUNCED.pack(
        Action.ANNOUNCE, transaction, response.interval_s, response.leeches or 0, response.seeds or 0
    )
    return head + compact.encode(peer.address for peer in response.peers)[ipv6]


def answer_scrape(transaction: int, counts: Sequence[Counts]) -> bytes:
    """Tell the counts, in the order of the request."""
    head = struct.pack(">II", Action.SCRAPE, transaction)
    return head + b"".join(_COUNTS.pack(each.seeds, each.downloaded, each.leeches) for each in counts)


def answer_error(transaction: int, reason: str) -> bytes:
    """Refuse a request."""
    return struct.pack(">II", Action.ERROR, transaction) + reason.encode()


class ConnectionIds:
    """Connection ids without a memory: a keyed MAC of the client's address and the time, so none can be forged.

    `key` is random and secret; times are of any steady clock.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def issue(self, client: Address, now_s: float) -> int:
        """The id for a client; it changes every minute."""
        return self._id(client, int(now_s // CONNECTION_LIFE_S))

    def holds(self, client: Address, connection: int, now_s: float) -> bool:
        """Whether this address was given this id within the last two minutes (three at most)."""
        minute = int(now_s // CONNECTION_LIFE_S)
        late = ACCEPTED_LIFE_S // CONNECTION_LIFE_S
        found = connection.to_bytes(8, "big")
        ids = [self._id(client, minute - age).to_bytes(8, "big") for age in range(late + 1)]
        return any(hmac.compare_digest(each, found) for each in ids)

    def _id(self, client: Address, minute: int) -> int:
        text = f"{minute}|{client.host}".encode()
        return int.from_bytes(hashlib.blake2b(text, key=self._key, digest_size=8).digest(), "big")


def waits_s(first_s: float = FIRST_WAIT_S) -> list[float]:
    """How long each try waits for its answer, in order."""
    return [first_s * 2**number for number in range(MAX_RETRIES + 1)]
