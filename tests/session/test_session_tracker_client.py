"""What a tracker may say, and what is made of it."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from aiohttp import web

from btresearch.peer import AnnounceRequest
from btresearch.peer.announce import DEFAULT_INTERVAL_S
from btresearch.session import TrackerError
from btresearch.session.tracker_client import announce, pause_s


def test_pauses_grow_and_are_bounded() -> None:
    pauses = [pause_s(None, failures) for failures in range(12)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == DEFAULT_INTERVAL_S


async def _against(handler: object, complaint: str) -> None:
    app = web.Application()
    app.router.add_get("/announce", handler)  # type: ignore[arg-type]
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/announce"
    try:
        async with aiohttp.ClientSession() as http:
            with pytest.raises(TrackerError, match=complaint):
                await announce(http, url, AnnounceRequest(infohash=bytes(20), peer_id=bytes(20), port=1))
    finally:
        await runner.cleanup()


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
    asyncio.run(_against(circle, "/announce"))


def test_udp_trackers_are_named_as_what_they_are_not() -> None:
    async def main() -> None:
        async with aiohttp.ClientSession() as http:
            with pytest.raises(TrackerError, match="expected an http or https tracker"):
                await announce(http, "udp://x:1/announce", AnnounceRequest(bytes(20), bytes(20), 1))

    asyncio.run(main())


@pytest.mark.parametrize(
    "url", ["http://[::1", "http://127.0.0.1:99999/a", "http://a..b/", "http://", "x:\x1b[2J"]
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
