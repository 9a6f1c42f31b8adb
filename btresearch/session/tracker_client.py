"""Announcing to trackers, HTTP and UDP: requests with bounds in size and time, tiers (BEP 12)."""

from __future__ import annotations

import logging
import random
import ssl
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from btresearch.errors import InputError, printable
from btresearch.peer import (
    AnnounceRequest,
    AnnounceResponse,
    KnownPeer,
    RemoteProtocolError,
    TrackerFailure,
)
from btresearch.peer.announce import DEFAULT_INTERVAL_S, MAX_RESPONSE_BYTES, decode_response
from btresearch.peer.tls_info import origin_of
from btresearch.session.accounts import Account
from btresearch.session.errors import TrackerError
from btresearch.session.udp_client import UdpTracker

MAX_URL_SHOWN = 200
MAX_REDIRECTS = 3
TIMEOUT_S = 20.0
REDIRECTS = (301, 302, 303, 307, 308)
_INFLATE_WBITS = 32 + zlib.MAX_WBITS  # gzip or zlib, whichever it is

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ways:
    """How to reach a tracker.

    `same_origin`: an answer that sends elsewhere is refused, since the request names what only this origin
    may know. `account`: credentials, and what verifies the server; without one, WebPKI does.
    """

    same_origin: bool = False
    account: Account | None = None
    timeout_s: float = TIMEOUT_S


async def announce(
    http: aiohttp.ClientSession, url: str, request: AnnounceRequest, ways: Ways | None = None
) -> AnnounceResponse:
    """Announce once to the tracker at `url`.

    Raises:
        TrackerError: no tracker that can be asked, unreachable, refused, or unreadable.
    """
    name, ways = printable(url, MAX_URL_SHOWN), ways or Ways()
    try:
        if urlsplit(url).scheme == "udp":
            return await UdpTracker(url).announce(request)
        if urlsplit(url).scheme not in ("http", "https"):
            raise TrackerError("expected an http, https or udp tracker")
        answer = decode_response(await _get(http, URL(request.url(url), encoded=True), ways))
    except (TrackerError, TrackerFailure, RemoteProtocolError, InputError) as error:
        raise TrackerError(f"{name}: {error}") from error
    except TimeoutError as error:
        raise TrackerError(f"{name}: no answer in {ways.timeout_s:.0f} s") from error
    except (aiohttp.ClientError, OSError, ValueError) as error:  # ValueError: an address that is none
        raise TrackerError(f"{name}: {printable(str(error), MAX_URL_SHOWN)}") from error
    for warning in answer.warnings:
        log.warning("tracker %s: %s", name, warning)
    # In clear, anyone on the way could say that nothing but TLS is to be tried with a peer.
    return answer if urlsplit(url).scheme == "https" else _without_signals(answer)


def _without_signals(answer: AnnounceResponse) -> AnnounceResponse:
    return replace(answer, peers=tuple(KnownPeer(peer.address) for peer in answer.peers))


async def _get(http: aiohttp.ClientSession, target: URL, ways: Ways) -> bytes:
    """The body, after at most three redirects that lose nothing of what protects the request."""
    account = ways.account
    headers = {"Accept-Encoding": "identity"} | ({"Authorization": account.authorization} if account else {})
    trust: ssl.SSLContext | aiohttp.Fingerprint | bool = account.trust() if account else True
    timeout = aiohttp.ClientTimeout(total=ways.timeout_s)
    for _ in range(MAX_REDIRECTS + 1):
        async with http.get(
            target, timeout=timeout, headers=headers, ssl=trust, allow_redirects=False, auto_decompress=False
        ) as response:
            if response.status not in REDIRECTS:
                return await _read(response)
            target = _redirected(target, response.headers.get("Location", ""), ways)
    raise TrackerError("redirects without an end")


def _redirected(target: URL, location: str, ways: Ways) -> URL:
    """Where to go on. Raises TrackerError for another origin where that would tell it too much."""
    there = target.join(URL(location, encoded=True))
    foreign = there.origin() != target.origin()
    if foreign and (ways.same_origin or ways.account is not None):
        raise TrackerError(f"redirects to another origin, {printable(str(there.origin()), MAX_URL_SHOWN)}")
    if target.scheme == "https" and there.scheme != "https":
        raise TrackerError("redirects from https to plain text")
    return there


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(65536):
        body += chunk
        if len(body) > MAX_RESPONSE_BYTES:
            raise TrackerError(f"answer over {MAX_RESPONSE_BYTES} bytes")
    plain = _inflated(bytes(body), response.headers.get("Content-Encoding", "identity").lower())
    if response.status != 200 and not plain.startswith(b"d"):
        raise TrackerError(f"HTTP status {response.status}")
    return plain


def _inflated(body: bytes, coding: str) -> bytes:
    """Undo a coding that was not asked for, as far as an answer may be long."""
    if coding in ("", "identity"):
        return body
    if coding not in ("gzip", "x-gzip", "deflate"):
        raise TrackerError(f"answer in the coding {printable(coding, MAX_URL_SHOWN)}")
    try:
        inflater = zlib.decompressobj(_INFLATE_WBITS)
        plain = inflater.decompress(body, MAX_RESPONSE_BYTES + 1)
    except zlib.error as error:
        raise TrackerError(f"answer that is no {coding}") from error
    if len(plain) > MAX_RESPONSE_BYTES:
        raise TrackerError(f"answer over {MAX_RESPONSE_BYTES} bytes")
    return plain


Requests = Callable[[str], Sequence[AnnounceRequest]]
"""What to tell the tracker at a URL: one announce for each infohash, or for each discovery id."""
WaysTo = Callable[[str], Ways]


class Trackers:
    """The tiers of one torrent (BEP 12): each tier shuffled, the tracker that answers moves to its front."""

    def __init__(
        self, tiers: Sequence[Sequence[str]], *, rng: random.Random, ways: WaysTo = lambda url: Ways()
    ) -> None:
        self._tiers = [rng.sample(list(tier), len(tier)) for tier in tiers]
        self._ways = ways

    def __bool__(self) -> bool:
        return any(self._tiers)

    async def announce(
        self, http: aiohttp.ClientSession, requests: AnnounceRequest | Requests
    ) -> AnnounceResponse:
        """The first answer that any tracker gives. Raises TrackerError naming the last refusal."""
        last = TrackerError("no tracker")
        for tier in self._tiers:
            for url in list(tier):
                said = [requests] if isinstance(requests, AnnounceRequest) else requests(url)
                try:
                    answers = [await announce(http, url, each, self._ways(url)) for each in said]
                except TrackerError as error:
                    log.info("tracker %s", error)
                    last = error
                    continue
                tier.remove(url)
                tier.insert(0, url)
                return _together(answers)
        raise last


def _together(answers: Sequence[AnnounceResponse]) -> AnnounceResponse:
    """The peers of all; the rest of the first."""
    peers = {peer.address: peer for answer in reversed(answers) for peer in answer.peers}
    return replace(answers[0], peers=tuple(peers.values()))


def unambiguous(tiers: Sequence[Sequence[str]], named: Sequence[str]) -> list[list[str]]:
    """`tiers` without URLs that would tell a tracker both what it may know and what it may not.

    `named` are the origins that learn a torrent's infohash; every other URL of such a host would learn the
    discovery id, and whoever runs the host could join the two.
    """
    hosts = {urlsplit(origin).hostname for origin in named}
    kept = [[url for url in tier if not _doubles(url, named, hosts)] for tier in tiers]
    return [tier for tier in kept if tier]


def _doubles(url: str, named: Sequence[str], hosts: set[str | None]) -> bool:
    try:
        doubles = (urlsplit(url).hostname or "").rstrip(".") in hosts and origin_of(url) not in named
    except ValueError:  # no URL at all: refused when it is asked
        return False
    if doubles:
        log.warning("tracker %s: not asked: its host is named in info.tls", printable(url, MAX_URL_SHOWN))
    return doubles


def pause_s(answer: AnnounceResponse | None, failures: int) -> float:
    """How long until the next announce: the tracker's interval, or a growing pause after failures."""
    return answer.interval_s if answer is not None else min(15 * 2 ** min(failures, 7), DEFAULT_INTERVAL_S)
