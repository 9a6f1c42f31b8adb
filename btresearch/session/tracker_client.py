"""Announcing to HTTP trackers: requests with bounds in size and time, tiers (BEP 12)."""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from btresearch.errors import printable
from btresearch.peer import AnnounceRequest, AnnounceResponse, RemoteProtocolError, TrackerFailure
from btresearch.peer.announce import DEFAULT_INTERVAL_S, MAX_RESPONSE_BYTES, decode_response
from btresearch.session.errors import TrackerError

MAX_URL_SHOWN = 200
TIMEOUT_S = 20.0

log = logging.getLogger(__name__)


async def announce(http: aiohttp.ClientSession, url: str, request: AnnounceRequest) -> AnnounceResponse:
    """Announce once to the tracker at `url`.

    Raises:
        TrackerError: no HTTP tracker, unreachable, refused, or unreadable.
    """
    name = printable(url, MAX_URL_SHOWN)
    try:
        if urlsplit(url).scheme not in ("http", "https"):
            raise TrackerError("expected an http or https tracker")
        target = URL(request.url(url), encoded=True)
        async with http.get(
            target, timeout=aiohttp.ClientTimeout(total=TIMEOUT_S), max_redirects=3
        ) as response:
            return decode_response(await _read(response))
    except (TrackerError, TrackerFailure, RemoteProtocolError) as error:
        raise TrackerError(f"{name}: {error}") from error
    except TimeoutError as error:
        raise TrackerError(f"{name}: no answer in {TIMEOUT_S:.0f} s") from error
    except (aiohttp.ClientError, OSError, ValueError) as error:  # ValueError: an address that is none
        raise TrackerError(f"{name}: {printable(str(error), MAX_URL_SHOWN)}") from error


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(65536):
        body += chunk
        if len(body) > MAX_RESPONSE_BYTES:
            raise TrackerError(f"answer over {MAX_RESPONSE_BYTES} bytes")
    if response.status != 200 and not body.startswith(b"d"):
        raise TrackerError(f"HTTP status {response.status}")
    return bytes(body)


class Trackers:
    """The tiers of one torrent (BEP 12): each tier shuffled, the tracker that answers moves to its front."""

    def __init__(self, tiers: Sequence[Sequence[str]], *, rng: random.Random) -> None:
        self._tiers = [rng.sample(list(tier), len(tier)) for tier in tiers]

    def __bool__(self) -> bool:
        return any(self._tiers)

    async def announce(self, http: aiohttp.ClientSession, request: AnnounceRequest) -> AnnounceResponse:
        """The first answer that any tracker gives. Raises TrackerError naming the last refusal."""
        last = TrackerError("no tracker")
        for tier in self._tiers:
            for url in list(tier):
                try:
                    answer = await announce(http, url, request)
                except TrackerError as error:
                    log.info("tracker %s", error)
                    last = error
                    continue
                tier.remove(url)
                tier.insert(0, url)
                return answer
        raise last


def pause_s(answer: AnnounceResponse | None, failures: int) -> float:
    """How long until the next announce: the tracker's interval, or a growing pause after failures."""
    return answer.interval_s if answer is not None else min(15 * 2 ** min(failures, 7), DEFAULT_INTERVAL_S)
