"""One port: strangers see a web server, wrong keys and middlemen get nothing of BitTorrent."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from btresearch.session import listener as module
from btresearch.transport.btls import ServerIdentity
from tests.session.swarming import HOST, Content, Seeding, fetch, seeding, single

PLAIN = b"BitTorrent protocol"
TLS_ONLY = ["btls_basic"]
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def _server_tls(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pem = folder / "identity.pem"
    pem.write_bytes(ServerIdentity.create(now_s=1_795_000_000, entropy=os.urandom).pem())
    context.load_cert_chain(pem)
    return context


def _client_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@contextlib.asynccontextmanager
async def _serving(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    server = await asyncio.start_server(handler, HOST, 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def _ask(port: int, request: bytes, *, tls: bool) -> bytes:
    """What the port answers, until it closes or is silent for a moment."""
    reader, writer = await asyncio.open_connection(HOST, port, ssl=_client_tls() if tls else None)
    writer.write(request)
    answer = b""
    with contextlib.suppress(TimeoutError, ConnectionError, ssl.SSLError):
        while data := await asyncio.wait_for(reader.read(65536), 1.0):
            answer += data
    writer.close()
    return answer


async def _with_seed(tmp_path: Path, body: Callable[[Content, Seeding], Awaitable[None]]) -> list[bytes]:
    """Run `body` beside a TLS-only seed; what the seed wrote to the wire."""
    sent: list[bytes] = []
    content = single(tmp_path / "in", 100_000)

    def tap(t_ns: int, direction: str, wire: bytes) -> None:
        if direction == "out":
            sent.append(wire)

    async with seeding(content, transports=TLS_ONLY, tap=tap) as end:
        await body(content, end)
    return sent


def test_probes_of_a_tls_only_port_meet_a_web_server(tmp_path: Path) -> None:
    async def body(content: Content, end: Seeding) -> None:
        request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        hello = b"\x13" + PLAIN + bytes(8) + content.torrent.infohash + bytes(20)
        assert (await _ask(end.port, request, tls=True)).startswith(
            b"HTTP/1.1 403 Forbidden\r\nServer: nginx/1.22.1\r\n"
        )
        assert (await _ask(end.port, hello, tls=True)).startswith(
            b"HTTP/1.1 400 Bad Request\r\nServer: nginx"
        )
        plain = await _ask(end.port, request, tls=False)
        assert b"The plain HTTP request was sent to HTTPS port" in plain
        assert (await _ask(end.port, hello, tls=False)).startswith(
            b"HTTP/1.1 400 Bad Request\r\nServer: nginx"
        )

    sent = asyncio.run(_with_seed(tmp_path, body))
    assert sent
    assert not any(PLAIN in wire for wire in sent)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not here: install curl")
def test_curl_sees_a_web_server_on_the_port_that_serves_peers(tmp_path: Path) -> None:
    async def body(content: Content, end: Seeding) -> None:
        await fetch(content.torrent, tmp_path / "out", end.port, transports=TLS_ONLY)
        curl = await asyncio.create_subprocess_exec(
            "curl", "-ksi", f"https://{HOST}:{end.port}/index.html", stdout=subprocess.PIPE
        )
        answer, _ = await curl.communicate()
        assert curl.returncode == 0
        assert answer.startswith(b"HTTP/1.1 404 Not Found\r\nServer: nginx/1.22.1\r\nDate: ")

    asyncio.run(_with_seed(tmp_path, body))


def test_wrong_infohash_is_refused_with_no_bittorrent_byte_on_the_wire(tmp_path: Path) -> None:
    async def body(content: Content, end: Seeding) -> None:
        wire = bytearray()
        other = single(tmp_path / "other", 100_001)
        with pytest.raises(TimeoutError):
            await fetch(
                other.torrent,
                tmp_path / "out",
                end.port,
                transports=TLS_ONLY,
                tap=lambda t_ns, direction, data: wire.extend(data),
                patience_s=1.5,
            )
        assert wire
        assert PLAIN not in wire
        assert other.torrent.infohash not in wire
        assert end.progress[-1].uploaded_bytes == 0

    sent = asyncio.run(_with_seed(tmp_path, body))
    assert not any(PLAIN in wire for wire in sent)


def test_a_fake_responder_hears_one_hello_and_nothing_else(tmp_path: Path) -> None:
    """What the initiator says inside the channel before the other end has proved anything."""
    heard: list[bytes] = []

    async def fake(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(65536))
        writer.write(os.urandom(500))
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            heard.append(await reader.read(65536))
        writer.close()

    async def main() -> None:
        content = single(tmp_path / "in", 100_000)
        async with _serving(fake, _server_tls(tmp_path)) as port:
            with pytest.raises(TimeoutError):
                await fetch(content.torrent, tmp_path / "out", port, transports=TLS_ONLY, patience_s=1.0)
        hellos, rest = heard[0::2], heard[1::2]
        assert {len(hello) for hello in hellos} == {666 - 22}  # one record of a browser's first request
        assert set(rest) <= {b""}
        assert not any(PLAIN in hello or content.torrent.infohash in hello for hello in hellos)

    asyncio.run(main())


def test_a_relay_that_terminates_tls_is_refused(tmp_path: Path) -> None:
    """Both proofs are bound to their own channel, so passing them on proves nothing."""
    seen = bytearray()

    async def body(content: Content, end: Seeding) -> None:
        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            onward = await asyncio.open_connection(HOST, end.port, ssl=_client_tls())
            pumps = (_pump(reader, onward[1], seen), _pump(onward[0], writer, seen))
            await asyncio.gather(*pumps)

        async with _serving(relay, _server_tls(tmp_path)) as port:
            with pytest.raises(TimeoutError):
                await fetch(content.torrent, tmp_path / "out", port, transports=TLS_ONLY, patience_s=1.5)
        assert end.progress[-1].uploaded_bytes == 0
        assert content.torrent.infohash not in seen

    asyncio.run(_with_seed(tmp_path, body))
    assert b"HTTP/1.1 40" in seen  # the seed took the relay for a stranger
    assert PLAIN not in seen


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: bytearray) -> None:
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while data := await reader.read(65536):
            seen.extend(data)
            writer.write(data)
            await writer.drain()
    writer.close()


def test_garbage_on_a_mixed_port_does_not_disturb_it(tmp_path: Path) -> None:
    async def main() -> None:
        content = single(tmp_path / "in", 100_000)
        async with seeding(content) as end:
            for garbage in (
                os.urandom(500),
                b"\x13Bit" + os.urandom(100),
                b"\x16\x03\x01\x00\x05\x01" + bytes(50),
            ):
                await _ask(end.port, garbage, tls=False)
            unknown = b"\x13" + PLAIN + bytes(8) + bytes(20) + bytes(20)
            assert await _ask(end.port, unknown, tls=False) == b""
            await fetch(content.torrent, tmp_path / "out", end.port)
        assert content.same_in(tmp_path / "out")

    asyncio.run(main())


def test_undecided_connections_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_UNDECIDED", 3)

    async def main() -> None:
        content = single(tmp_path / "in", 100_000)
        async with seeding(content) as end:
            idle = [await asyncio.open_connection(HOST, end.port) for _ in range(5)]
            await fetch(content.torrent, tmp_path / "out", end.port, transports=["clear"])
            for reader, _ in idle[:2]:  # the oldest made room
                with contextlib.suppress(ConnectionError):
                    assert await asyncio.wait_for(reader.read(1), 1.0) == b""
            for _, writer in idle:
                writer.close()

    asyncio.run(main())


def test_one_address_pushes_out_its_own_and_nobody_else_s() -> None:
    crowd, gone = module.Crowd(), list[str]()
    hosts = ["198.51.100.7"] + [f"2001:db8::{number:x}" for number in range(4)] + ["192.0.2.1"] * 2
    for number, host in enumerate([*hosts, "2001:db8::ffff", "192.0.2.1", "203.0.113.5"]):
        name = f"{number} {host}"
        crowd.enter(name, host, lambda reason, name=name: gone.append(name), 6)  # type: ignore[misc]
        assert len(crowd) <= 6
    assert gone == ["1 2001:db8::0", "2 2001:db8::1", "3 2001:db8::2", "5 192.0.2.1"]
    crowd.leave("0 198.51.100.7")
    crowd.disperse("stopped")
    assert "0 198.51.100.7" not in gone and len(gone) == 4 + 5


def test_undecided_connections_time_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "UNDECIDED_S", 0.2)

    async def main() -> None:
        content = single(tmp_path / "in", 100_000)
        async with seeding(content) as end:
            for start in (b"", b"\x13BitTor", b"\x13" + PLAIN):
                reader, writer = await asyncio.open_connection(HOST, end.port)
                writer.write(start)
                with contextlib.suppress(ConnectionError):
                    assert await asyncio.wait_for(reader.read(1), 2.0) == b""
                writer.close()

    asyncio.run(main())


def test_strangers_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A prober that has met the web server still counts; and a peer finds its way in."""
    monkeypatch.setattr(module, "MAX_STRANGERS", 3)
    request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"

    async def main() -> None:
        content = single(tmp_path / "in", 100_000)
        async with seeding(content, transports=TLS_ONLY) as end:
            visits = []
            for _ in range(5):
                reader, writer = await asyncio.open_connection(HOST, end.port, ssl=_client_tls())
                writer.write(request)
                assert (await reader.readline()).startswith(b"HTTP/1.1 403")
                visits.append((reader, writer))
            for reader, _ in visits[:2]:
                with contextlib.suppress(ConnectionError):
                    await asyncio.wait_for(reader.read(), 1.0)  # ends: the oldest made room
            for _, writer in visits[2:]:
                writer.write(request)
            await asyncio.wait_for(visits[4][0].readuntil(b"HTTP/1.1 403"), 1.0)
            await fetch(content.torrent, tmp_path / "out", end.port, transports=TLS_ONLY)
            for _, writer in visits:
                writer.close()

    asyncio.run(main())


def test_close_notify_is_answered_as_a_web_server_does(tmp_path: Path) -> None:
    """By hanging up, though the prober leaves its socket open."""

    async def body(content: Content, end: Seeding) -> None:
        reader, writer = await asyncio.open_connection(HOST, end.port)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = _client_tls().wrap_bio(incoming, outgoing)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                writer.write(outgoing.read())
                incoming.write(await asyncio.wait_for(reader.read(65536), 2.0))
        with contextlib.suppress(ssl.SSLWantReadError):
            tls.unwrap()
        writer.write(outgoing.read())
        await asyncio.wait_for(reader.read(), 2.0)
        writer.close()

    asyncio.run(_with_seed(tmp_path, body))
