"""What a tracker may say, and what is made of it."""

from __future__ import annotations

import asyncio
from urllib.parse import unquote_to_bytes

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.session import Address, TrackerError
from btresearch.session.tracker_client import (
    DEFAULT_INTERVAL_S,
    MAX_INTERVAL_S,
    MIN_INTERVAL_S,
    Announcement,
    announce,
    parse_answer,
    pause_s,
)


def test_compact_and_ipv6_peers() -> None:
    """BEP 23's 6 bytes and BEP 7's 18."""
    four = b"\x0a\x00\x00\x01\x1a\xe1" + b"\x0a\x00\x00\x02\x00\x00"  # port 0 is nobody
    six = bytes.fromhex("20010db8000000000000000000000001") + b"\x1a\xe2"
    answer = parse_answer(b"d8:intervali900e5:peers12:" + four + b"6:peers618:" + six + b"e")
    assert answer.peers == (Address("10.0.0.1", 6881), Address("2001:db8::1", 6882))
    assert answer.interval_s == 900


def test_dictionary_peers_and_nonsense_among_them() -> None:
    body = b"d5:peersl" + b"d2:ip9:127.0.0.14:porti80ee" + b"d2:ip1:x4:porti0ee" + b"i7e" + b"ee"
    assert parse_answer(body).peers == (Address("127.0.0.1", 80),)


@pytest.mark.parametrize(
    ("said", "kept"), [(1, MIN_INTERVAL_S), (10**9, MAX_INTERVAL_S), (-5, MIN_INTERVAL_S)]
)
def test_interval_is_bounded(said: int, kept: int) -> None:
    assert parse_answer(b"d8:intervali%dee" % said).interval_s == kept


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"d14:failure reason6:go outee"[:-1], "refused: go out"),
        (b"<html>", "unreadable"),
        (b"le", "dictionary"),
        (b"d5:peers5:abcdee", "5 bytes"),
        (b"", "unreadable"),
    ],
)
def test_refusals_and_nonsense(body: bytes, complaint: str) -> None:
    with pytest.raises(TrackerError, match=complaint):
        parse_answer(body)


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=200))
def test_only_tracker_errors_escape(body: bytes) -> None:
    try:
        assert parse_answer(body).interval_s >= MIN_INTERVAL_S
    except TrackerError as error:
        assert str(error)


@settings(deadline=None, max_examples=50)
@given(st.binary(min_size=20, max_size=20), st.binary(min_size=20, max_size=20))
def test_ids_survive_the_query(infohash: bytes, peer_id: bytes) -> None:
    query = Announcement(infohash=infohash, peer_id=peer_id, port=1, event="started").query()
    fields = dict(pair.split("=") for pair in query.split("&"))
    assert unquote_to_bytes(fields["info_hash"]) == infohash
    assert unquote_to_bytes(fields["peer_id"]) == peer_id
    assert fields["event"] == "started"


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
                await announce(http, url, Announcement(infohash=bytes(20), peer_id=bytes(20), port=1))
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
                await announce(http, "udp://x:1/announce", Announcement(bytes(20), bytes(20), 1))

    asyncio.run(main())


@pytest.mark.parametrize(
    "url", ["http://[::1", "http://127.0.0.1:99999/a", "http://a..b/", "http://", "x:\x1b[2J"]
)
def test_addresses_that_are_none_are_refusals_in_plain_text(url: str) -> None:
    async def main() -> None:
        async with aiohttp.ClientSession() as http:
            with pytest.raises(TrackerError) as caught:
                await announce(http, url, Announcement(infohash=bytes(20), peer_id=bytes(20), port=1))
        assert str(caught.value).isprintable()

    asyncio.run(main())


def test_a_refusal_cannot_steer_the_terminal() -> None:
    with pytest.raises(TrackerError) as caught:
        parse_answer(b"d14:failure reason6:\x1b[2Jgoe")
    assert str(caught.value) == r"refused: \x1b[2Jgo"
