"""Strangers on a port that requires TLS: a site behind us, timeouts, crowds."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from btresearch.errors import InputError
from btresearch.session import listener, stranger
from btresearch.session.decoy import PHASE_LIMIT_S
from btresearch.session.decoy_site import DecoySite
from btresearch.transport.btls import ServerIdentity
from tests.session.swarming import HOST, fetch, free_port, seeding, single

TLS_ONLY = ["btls_basic"]
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def _client_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _server_tls(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    (folder / "site.pem").write_bytes(ServerIdentity.create(now_s=1_795_000_000, entropy=os.urandom).pem())
    context.load_cert_chain(folder / "site.pem")
    return context


@contextlib.asynccontextmanager
async def _site(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    server = await asyncio.start_server(handler, HOST, 0, ssl=tls)
    try:
        yield f"http{'s' if tls else ''}://{HOST}:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def _shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A site that says everything back in capitals."""
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while data := await reader.read(65536):
            writer.write(data.upper())
            await writer.drain()
    writer.close()


async def _visit(port: int, *, tls: bool = True) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(HOST, port, ssl=_client_tls() if tls else None)


@pytest.mark.parametrize("secure", [False, True])
def test_a_site_behind_us_answers_from_the_first_record_on(tmp_path: Path, secure: bool) -> None:
    async def main() -> None:
        content = single(tmp_path / "in", 100_000)
        async with (
            _site(_shout, _server_tls(tmp_path) if secure else None) as url,
            seeding(content, transports=TLS_ONLY, decoy=url) as end,
        ):
            reader, writer = await _visit(end.port)
            for said in (b"hello", os.urandom(51), b"x" * 300_000):
                writer.write(said)
                assert await asyncio.wait_for(reader.readexactly(len(said)), 5.0) == said.upper()
            writer.close()
            await fetch(content.torrent, tmp_path / "out", end.port, transports=TLS_ONLY)

    asyncio.run(main())


def test_plain_bytes_reach_a_tls_site_as_they_are(tmp_path: Path) -> None:
    async def raw(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(65536))
        writer.write(b"what a tls server says to that")
        writer.close()

    heard: list[bytes] = []

    async def main() -> None:
        content = single(tmp_path / "in", 100_000)
        async with (
            _site(raw) as url,
            seeding(content, transports=TLS_ONLY, decoy=url.replace("http:", "https:")) as end,
        ):
            reader, writer = await _visit(end.port, tls=False)
            writer.write(GET)
            assert await asyncio.wait_for(reader.read(), 5.0) == b"what a tls server says to that"
            writer.close()

    asyncio.run(main())
    assert heard == [GET]


def test_a_site_that_hangs_up_ends_the_stranger_s_connection(tmp_path: Path) -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.write(b"last words")
        writer.close()

    async def main() -> None:
        content = single(tmp_path / "in", 100_000)
        async with _site(once) as url, seeding(content, transports=TLS_ONLY, decoy=url) as end:
            reader, writer = await _visit(end.port)
            writer.write(GET)
            assert await asyncio.wait_for(reader.read(), 5.0) == b"last words"
            writer.close()

    asyncio.run(main())


def test_a_site_that_is_down_is_a_502(tmp_path: Path) -> None:
    async def main() -> None:
        content = single(tmp_path / "in", 100_000)
        url = f"http://{HOST}:{free_port()}"
        async with seeding(content, transports=TLS_ONLY, decoy=url) as end:
            reader, writer = await _visit(end.port)
            writer.write(GET)
            answer = await asyncio.wait_for(reader.read(), 5.0)
            assert answer.startswith(b"HTTP/1.1 502 Bad Gateway\r\nServer: nginx")
            writer.close()

    asyncio.run(main())


def test_a_stranger_who_does_not_read_slows_the_site_down(tmp_path: Path) -> None:
    """What is on its way is bounded by the buffers of sockets, however much the site has to say."""
    written = 0
    wanted = 64 << 20

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await reader.read(65536)
        with contextlib.suppress(ConnectionError):
            while written < wanted:
                writer.write(bytes(1 << 16))
                await writer.drain()
                written += 1 << 16
        writer.close()

    async def main() -> None:
        content = single(tmp_path / "in", 100_000)
        async with _site(flood) as url, seeding(content, transports=TLS_ONLY, decoy=url) as end:
            _, writer = await asyncio.open_connection(HOST, end.port, ssl=_client_tls(), limit=1 << 14)
            writer.write(GET)
            await asyncio.sleep(0.5)
            writer.transport.abort()
            assert 0 < written < wanted // 2

    asyncio.run(main())


@pytest.mark.parametrize(
    "url", ["ftp://a", "http://", "http://a/path", "http://a:x", "https://u@a", "a:80", "http://a?b"]
)
def test_urls_that_are_no_site(url: str) -> None:
    with pytest.raises(InputError, match="--decoy"):
        DecoySite.parse(url)


def test_urls_of_sites() -> None:
    assert DecoySite.parse("http://127.0.0.1:8080") == DecoySite("127.0.0.1", 8080, tls=False)
    assert DecoySite.parse("https://[::1]/") == DecoySite("::1", 443, tls=True)


@pytest.mark.parametrize(
    ("phase", "said", "ends_with_close_notify"),
    [("head", b"", True), ("head", b"GET / HT", False), ("keepalive", GET, True),
     ("body", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n", False)],
)  # fmt: skip
def test_timeouts_end_as_nginx_s_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, phase: str, said: bytes, ends_with_close_notify: bool
) -> None:
    """Scaled down: an idle visitor hears close_notify, one in the middle of something nothing."""
    for name in PHASE_LIMIT_S:
        monkeypatch.setitem(stranger.PHASE_LIMIT_S, name, 0.4 if name == phase else 30.0)
    monkeypatch.setattr(listener, "WEB_SILENCE_S", stranger.PHASE_LIMIT_S["head"])

    async def main() -> bool:
        content = single(tmp_path / "in", 100_000)
        async with seeding(content, transports=TLS_ONLY) as end:
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = _client_tls().wrap_bio(incoming, outgoing)
            reader, writer = await asyncio.open_connection(HOST, end.port)
            await _shake_hands(tls, incoming, outgoing, reader, writer)
            tls.write(said)
            writer.write(outgoing.read())
            incoming.write(await asyncio.wait_for(reader.read(), 5.0))
            writer.close()
            try:
                while tls.read(65536):
                    pass
            except ssl.SSLWantReadError:
                return False
            except ssl.SSLZeroReturnError:
                return True
            return True

    assert asyncio.run(main()) is ends_with_close_notify


async def _shake_hands(
    tls: ssl.SSLObject,
    incoming: ssl.MemoryBIO,
    outgoing: ssl.MemoryBIO,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    while True:
        try:
            tls.do_handshake()
            writer.write(outgoing.read())
            return
        except ssl.SSLWantReadError:
            writer.write(outgoing.read())
            incoming.write(await asyncio.wait_for(reader.read(65536), 5.0))


@pytest.mark.slow
def test_two_hundred_strangers_at_once_and_a_peer_among_them(tmp_path: Path) -> None:
    async def visit(port: int, index: int) -> bytes:
        reader, writer = await _visit(port, tls=index % 4 != 0)
        writer.write(bytes(51) if index % 10 == 0 else GET)
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n"), 20.0)
        writer.close()
        return answer

    async def main() -> None:
        content = single(tmp_path / "in", 1_000_000)
        async with seeding(content, transports=TLS_ONLY) as end:
            peer = asyncio.create_task(
                fetch(content.torrent, tmp_path / "out", end.port, transports=TLS_ONLY)
            )
            answers = await asyncio.gather(*(visit(end.port, index) for index in range(1, 200)))
            assert {answer[:10] for answer in answers} == {b"HTTP/1.1 4"}
            await peer

    asyncio.run(main())
