"""What a tracker may say, and what is made of it."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import random
import resource
import zlib
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from btresearch.peer import Address, AnnounceRequest, KnownPeer
from btresearch.peer.announce import DEFAULT_INTERVAL_S
from btresearch.session import TrackerError, TrackerServer
from btresearch.session.accounts import Account
from btresearch.session.tracker_client import Trackers, Ways, _redirected, announce, pause_s, unambiguous


def test_pauses_grow_and_are_bounded() -> None:
    pauses = [pause_s(None, failures) for failures in range(12)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == DEFAULT_INTERVAL_S


@contextlib.asynccontextmanager
async def _tracker(handler: object) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/announce", handler)  # type: ignore[arg-type]
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/announce"
    finally:
        await runner.cleanup()


async def _against(handler: object, complaint: str, ways: Ways | None = None) -> None:
    async with _tracker(handler) as url, aiohttp.ClientSession() as http:
        with pytest.raises(TrackerError, match=complaint):
            await announce(http, url, AnnounceRequest(bytes(20), bytes(20), 1), ways)


def test_endless_answer_is_cut() -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(bytes(65536))
        except ConnectionError:
            return response

    asyncio.run(_against(endless, "over 1048576 bytes"))


def test_http_errors_and_redirect_loops() -> None:
    async def missing(request: web.Request) -> web.Response:
        return web.Response(status=503, text="busy")

    async def circle(request: web.Request) -> web.Response:
        raise web.HTTPFound("/announce")

    asyncio.run(_against(missing, "HTTP status 503"))
    asyncio.run(_against(circle, "redirects without an end"))


@pytest.mark.parametrize(
    "url",
    [
        "http://[::1",
        "http://127.0.0.1:99999/a",
        "http://a..b/",
        "http://",
        "x:\x1b[2J",
        "wss://x/",
        "udp://x",
        "udp://:1/",
    ],
)
def test_addresses_that_are_none_are_refusals_in_plain_text(url: str) -> None:
    async def main() -> None:
        async with aiohttp.ClientSession() as http:
            with pytest.raises(TrackerError) as caught:
                await announce(http, url, AnnounceRequest(infohash=bytes(20), peer_id=bytes(20), port=1))
        assert str(caught.value).isprintable()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"d14:failure reason6:\x1b[2Jgoe", r": refused: \\x1b\[2Jgo$"),
        (b"<html>", ": unreadable answer"),
        (b"d5:peers1:xe", ": compact peers of 1 bytes"),
    ],
)
def test_refusals_and_nonsense_are_tracker_errors(body: bytes, complaint: str) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=body)

    asyncio.run(_against(answer, complaint))


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_bomb_is_not_unpacked(coding: str) -> None:
    bomb = gzip.compress(bytes(100 << 20)) if coding == "gzip" else zlib.compress(bytes(100 << 20))

    async def explode(request: web.Request) -> web.Response:
        return web.Response(body=bomb, headers={"Content-Encoding": coding})

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    asyncio.run(_against(explode, "over 1048576 bytes"))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB


@pytest.mark.parametrize(
    ("coding", "complaint"),
    [("gzip", "no gzip"), ("br", "the coding br")],
)
def test_codings_that_are_none(coding: str, complaint: str) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=b"d5:peers0:e", headers={"Content-Encoding": coding})

    asyncio.run(_against(answer, complaint))


def test_what_is_packed_unasked_is_read() -> None:
    async def packed(request: web.Request) -> web.Response:
        return web.Response(
            body=gzip.compress(b"d14:failure reason2:noe"), headers={"Content-Encoding": "gzip"}
        )

    asyncio.run(_against(packed, "refused: no"))


def test_signals_in_clear_are_ignored() -> None:
    async def signal(request: web.Request) -> web.Response:
        return web.Response(body=b"d5:peers6:\xc0\x00\x02\x01\x00\x019:tls_flags1:\x03e")

    async def main() -> None:
        async with _tracker(signal) as url, aiohttp.ClientSession() as http:
            answer = await announce(http, url, AnnounceRequest(bytes(20), bytes(20), 1))
            assert answer.peers == (KnownPeer(Address("192.0.2.1", 1)),)

    asyncio.run(main())


def test_a_slow_tracker_is_given_up() -> None:
    async def slow(request: web.Request) -> web.Response:
        await asyncio.sleep(5)
        return web.Response()

    asyncio.run(_against(slow, "no answer in 0 s", Ways(timeout_s=0.2)))


@pytest.mark.parametrize(
    ("location", "ways", "complaint"),
    [
        (
            "http://127.0.0.1:1/announce",
            Ways(same_origin=True),
            "redirects to another origin, http://127.0.0.1:1$",
        ),
        ("//localhost/announce", Ways(same_origin=True), "another origin"),
        ("http://127.0.0.1:1/announce", Ways(account=Account("o", "u", "p")), "another origin"),
        ("http://127.0.0.1:1/announce", Ways(), "127.0.0.1:1"),
        ("ftp://x/", Ways(), "ftp"),
        ("http://[", Ways(), "http"),
    ],
)
def test_redirects(location: str, ways: Ways, complaint: str) -> None:
    async def elsewhere(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": location})

    asyncio.run(_against(elsewhere, complaint, ways))


def test_a_redirect_never_leaves_tls() -> None:
    secure, plain = URL("https://t.example/a?x=1"), URL("http://t.example/a")
    with pytest.raises(TrackerError, match="from https to plain text"):
        _redirected(secure, str(plain), Ways())
    assert _redirected(plain, "https://t.example/b", Ways()) == URL("https://t.example/b")
    with pytest.raises(TrackerError, match="another origin"):
        _redirected(secure, "https://u.example/a", Ways(same_origin=True))
    assert _redirected(secure, "/b?y", Ways(same_origin=True)) == URL("https://t.example/b?y")


def test_one_tracker_never_learns_both_names() -> None:
    named = ["https://t.example", "https://u.example:8443"]
    tiers = [
        ["https://t.example/announce", "udp://t.example:80/announce", "http://t.example/announce"],
        ["https://t.example:8443/announce", "https://u.example:8443/a", "http://[::1"],
        ["udp://u.example:8443/a", "https://me@t.example/announce", "https://t.example./announce"],
    ]
    assert unambiguous(tiers, named) == [
        ["https://t.example/announce"],
        ["https://u.example:8443/a", "http://[::1"],
    ]
    assert unambiguous(tiers, []) == tiers


def test_an_announce_of_two_names_gathers_the_peers_of_both() -> None:
    async def main() -> None:
        async with TrackerServer() as tracker, aiohttp.ClientSession() as http:
            for number in (1, 2):
                await announce(
                    http, tracker.url, AnnounceRequest(bytes([number]) * 20, bytes(20), number, left=1)
                )
            trackers = Trackers([[tracker.url]], rng=random.Random(1))
            both = [AnnounceRequest(bytes([number]) * 20, b"x" * 20, 9, left=1) for number in (1, 2)]
            answer = await trackers.announce(http, lambda url: both)
            assert sorted(peer.address.port for peer in answer.peers) == [1, 2]

    asyncio.run(main())
