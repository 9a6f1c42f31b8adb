"""Announcing to HTTP trackers: BEP 3, compact answers (BEP 23, BEP 7), tiers (BEP 12)."""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote_from_bytes, urlencode, urlsplit

import aiohttp
from yarl import URL

from btresearch.errors import BtresearchError, printable
from btresearch.peer import bencode
from btresearch.session.address import IPV4_BYTES, IPV6_BYTES, Address, unpack
from btresearch.session.errors import TrackerError

MAX_ANSWER_BYTES = 1 << 20
MAX_PEERS = 2000
MAX_URL_SHOWN = 200
TIMEOUT_S = 20.0
MIN_INTERVAL_S, DEFAULT_INTERVAL_S, MAX_INTERVAL_S = 5, 1800, 86_400

EventName = Literal["", "started", "stopped", "completed"]
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Announcement:
    """What a peer tells a tracker; counters in bytes."""

    infohash: bytes
    peer_id: bytes
    port: int
    uploaded: int = 0
    downloaded: int = 0
    left: int = 0
    event: EventName = ""
    numwant: int = 50

    def query(self) -> str:
        """The query string; infohash and peer_id percent-encoded byte by byte."""
        fields: dict[str, str | int] = {
            "port": self.port,
            "uploaded": self.uploaded,
            "downloaded": self.downloaded,
            "left": self.left,
            "compact": 1,
            "numwant": self.numwant,
        }
        if self.event:
            fields["event"] = self.event
        ids = f"info_hash={quote_from_bytes(self.infohash, safe='')}&peer_id={quote_from_bytes(self.peer_id, safe='')}"
        return f"{ids}&{urlencode(fields)}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the tracker said."""

    peers: tuple[Address, ...]
    interval_s: int
    seeds: int | None = None
    leeches: int | None = None


def parse_answer(body: bytes) -> Answer:
    """A bencoded answer as an `Answer`. Raises TrackerError for a refusal or for nonsense."""
    try:
        fields = bencode.decode(body)
        if not isinstance(fields, Mapping):
            raise TrackerError("expected a bencoded dictionary")
        if (reason := fields.get(b"failure reason")) is not None:
            shown = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else repr(reason)
            raise TrackerError(f"refused: {printable(shown, 200)}")
        return Answer(
            peers=_peers(fields)[:MAX_PEERS],
            interval_s=_interval_s(fields),
            seeds=_integer(fields, b"complete"),
            leeches=_integer(fields, b"incomplete"),
        )
    except TrackerError:
        raise
    except (BtresearchError, ValueError) as error:
        raise TrackerError(f"unreadable answer: {error}") from error


def _integer(fields: Mapping[bytes, object], key: bytes) -> int | None:
    value = fields.get(key)
    return value if isinstance(value, int) else None


def _interval_s(fields: Mapping[bytes, object]) -> int:
    said = _integer(fields, b"interval")
    return DEFAULT_INTERVAL_S if said is None else min(max(said, MIN_INTERVAL_S), MAX_INTERVAL_S)


def _peers(fields: Mapping[bytes, object]) -> tuple[Address, ...]:
    found: list[Address] = []
    plain = fields.get(b"peers", b"")
    if isinstance(plain, bytes):
        found += unpack(plain, IPV4_BYTES)
    elif isinstance(plain, list):
        found += [address for entry in plain if (address := _from_dictionary(entry))]
    six = fields.get(b"peers6", b"")
    if isinstance(six, bytes):
        found += unpack(six, IPV6_BYTES)
    return tuple(dict.fromkeys(found))


def _from_dictionary(entry: object) -> Address | None:
    if not isinstance(entry, Mapping):
        return None
    ip, port = entry.get(b"ip"), entry.get(b"port")
    if not isinstance(ip, bytes) or not isinstance(port, int) or not 0 < port < 65536:
        return None
    return Address.of(ip[:255].decode("ascii", "replace"), port)


async def announce(http: aiohttp.ClientSession, url: str, announcement: Announcement) -> Answer:
    """Announce once to the tracker at `url`.

    Raises:
        TrackerError: no HTTP tracker, unreachable, refused, or unreadable.
    """
    name = printable(url, MAX_URL_SHOWN)
    try:
        if urlsplit(url).scheme not in ("http", "https"):
            raise TrackerError("expected an http or https tracker")
        target = URL(f"{url}{'&' if '?' in url else '?'}{announcement.query()}", encoded=True)
        async with http.get(
            target, timeout=aiohttp.ClientTimeout(total=TIMEOUT_S), max_redirects=3
        ) as response:
            body = await _read(response)
            return parse_answer(body)
    except TrackerError as error:
        raise TrackerError(f"{name}: {error}") from error
    except TimeoutError as error:
        raise TrackerError(f"{name}: no answer in {TIMEOUT_S:.0f} s") from error
    except (aiohttp.ClientError, OSError, ValueError) as error:  # ValueError: an address that is none
        raise TrackerError(f"{name}: {printable(str(error), MAX_URL_SHOWN)}") from error


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(65536):
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise TrackerError(f"answer over {MAX_ANSWER_BYTES} bytes")
    if response.status != 200 and not body.startswith(b"d"):
        raise TrackerError(f"HTTP status {response.status}")
    return bytes(body)


class Trackers:
    """The tiers of one torrent (BEP 12): each tier shuffled, the tracker that answers moves to its front."""

    def __init__(self, tiers: Sequence[Sequence[str]], *, rng: random.Random) -> None:
        self._tiers = [rng.sample(list(tier), len(tier)) for tier in tiers]

    def __bool__(self) -> bool:
        return any(self._tiers)

    async def announce(self, http: aiohttp.ClientSession, announcement: Announcement) -> Answer:
        """The first answer that any tracker gives. Raises TrackerError naming the last refusal."""
        last = TrackerError("no tracker")
        for tier in self._tiers:
            for url in list(tier):
                try:
                    answer = await announce(http, url, announcement)
                except TrackerError as error:
                    log.info("tracker %s", error)
                    last = error
                    continue
                tier.remove(url)
                tier.insert(0, url)
                return answer
        raise last


def pause_s(answer: Answer | None, failures: int) -> float:
    """How long until the next announce: the tracker's interval, or a growing pause after failures."""
    return answer.interval_s if answer is not None else min(15 * 2 ** min(failures, 7), DEFAULT_INTERVAL_S)
