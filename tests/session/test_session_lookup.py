"""Which of many torrents a proof names: searched for off the event loop, and answered as if it were not."""

from __future__ import annotations

import asyncio
import os
import random
import ssl
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from btresearch.session.membership import Membership
from btresearch.session.node import Node
from btresearch.session.wires import MAX_INLINE_LOOKUP
from btresearch.transport.btls import Keyring, TorrentKey
from tests.session.swarming import HOST, Content, Seeding, fetch, seeding, single

MANY, FEW = 9000, 10
TLS_ONLY = ["btls_basic"]
LIKE_A_HELLO = b"\x01" * 644  # no HTTP, and long enough to be looked up


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bool, bool]]:
    """(hit, on the event loop's thread) of every lookup."""
    seen: list[tuple[bool, bool]] = []
    lookup = Keyring.lookup

    def spy(keyring: Keyring, tag: bytes, K: bytes) -> TorrentKey | None:
        key = lookup(keyring, tag, K)
        seen.append((key is not None, threading.current_thread() is threading.main_thread()))
        return key

    monkeypatch.setattr(Keyring, "lookup", spy)
    return seen


def _crowd(monkeypatch: pytest.MonkeyPatch, others: int) -> None:
    """Every endpoint serves so many other torrents, too."""
    enter, rng = Node.__aenter__, random.Random(4)

    async def entered(node: Node) -> Node:
        for _ in range(others):
            node.wires.serve(Membership.basic(rng.randbytes(20)), node.policy)
        return await enter(node)

    monkeypatch.setattr(Node, "__aenter__", entered)


def _with_seed(tmp_path: Path, body: Callable[[Content, Seeding], Awaitable[None]]) -> None:
    async def main() -> None:
        content = single(tmp_path / "in", 200_000)
        async with seeding(content, transports=TLS_ONLY) as end:
            await body(content, end)

    asyncio.run(main())


@pytest.mark.parametrize(("others", "on_loop"), [(FEW, True), (MANY, False)])
def test_hit_and_miss_are_searched_in_the_same_place(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    searches: list[tuple[bool, bool]],
    others: int,
    on_loop: bool,
) -> None:
    async def body(content: Content, end: Seeding) -> None:
        await fetch(content.torrent, tmp_path / "out", end.port, transports=TLS_ONLY)
        assert content.same_in(tmp_path / "out")
        assert (await _answer(end.port, LIKE_A_HELLO)).startswith(b"HTTP/1.1 400 Bad Request")

    assert FEW < MAX_INLINE_LOOKUP < MANY
    _crowd(monkeypatch, others)
    _with_seed(tmp_path, body)
    assert searches == [(True, on_loop), (False, on_loop)]


async def _answer(port: int, request: bytes) -> bytes:
    """What a stranger hears that says all it has to say at once: request, close_notify, FIN."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing)
    reader, writer = await asyncio.open_connection(HOST, port)
    while not _shaken(tls):
        writer.write(outgoing.read())
        incoming.write(await asyncio.wait_for(reader.read(65536), 5.0))
    tls.write(request)
    writer.write(outgoing.read())
    writer.write_eof()
    incoming.write(await asyncio.wait_for(reader.read(), 5.0))
    writer.close()
    return tls.read(65536)


def _shaken(tls: ssl.SSLObject) -> bool:
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


def test_a_prober_that_leaves_during_the_search_disturbs_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, go_on = threading.Event(), threading.Event()
    lookup = Keyring.lookup

    def slow(keyring: Keyring, tag: bytes, K: bytes) -> TorrentKey | None:
        began.set()
        go_on.wait(5.0)
        return lookup(keyring, tag, K)

    async def body(content: Content, end: Seeding) -> None:
        monkeypatch.setattr(Keyring, "lookup", slow)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        _, writer = await asyncio.open_connection(HOST, end.port, ssl=context)
        writer.write(os.urandom(644))
        await asyncio.to_thread(began.wait, 5.0)
        writer.transport.abort()
        await asyncio.sleep(0.05)
        go_on.set()
        await fetch(content.torrent, tmp_path / "out", end.port, transports=TLS_ONLY)
        assert content.same_in(tmp_path / "out")

    _crowd(monkeypatch, MANY)
    _with_seed(tmp_path, body)
