"""Peers that lie, stall, break the protocol or go away: the download survives and the liar is named."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from btresearch.errors import InputError
from btresearch.peer import ExtensionMessage, Magnet, PeerConnection, PieceSet, extension, metadata
from btresearch.peer.handshake import Handshake
from btresearch.peer.messages import Interested, Request
from tests.session.swarming import Content, fetch, seeding, single

LIAR = "127.0.0.2"  # another host than the honest peer's 127.0.0.1
Answer = Callable[[PeerConnection, Content, Request, asyncio.StreamWriter], None]


def _truth(content: Content, request: Request) -> bytes:
    start = request.index * content.torrent.piece_length_bytes + request.begin
    return (content.folder / content.torrent.name).read_bytes()[start : start + request.length]


@contextlib.asynccontextmanager
async def _fake_seed(content: Content, answer: Answer, *, host: str = LIAR) -> AsyncIterator[int]:
    """A peer that says it has everything and answers requests as it likes."""

    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        peer = PeerConnection(
            initiator=False,
            peer_id=b"-LI0000-0123456789ab",
            infohash=content.torrent.infohash,
            layout=content.torrent.layout,
            extensions={},
        )
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                for event in peer.receive(data):
                    if isinstance(event, Handshake):
                        peer.handshake()
                        peer.pieces(PieceSet.full(content.torrent.piece_count))
                        peer.extended_handshake(extension.handshake_fields({}))
                    elif isinstance(event, Interested):
                        peer.unchoke()
                    elif isinstance(event, Request):
                        answer(peer, content, event, writer)
                writer.writelines(peer.data_to_send())
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, host, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


def _lie(peer: PeerConnection, content: Content, request: Request, writer: asyncio.StreamWriter) -> None:
    peer.piece(request.index, request.begin, bytes(request.length))


def _be_honest(
    peer: PeerConnection, content: Content, request: Request, writer: asyncio.StreamWriter
) -> None:
    peer.piece(request.index, request.begin, _truth(content, request))


def _stall(peer: PeerConnection, content: Content, request: Request, writer: asyncio.StreamWriter) -> None:
    """Say nothing."""


def _oversize(peer: PeerConnection, content: Content, request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"\xff\xff\xff\xff\x07")


def _unasked(peer: PeerConnection, content: Content, request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write((9 + 16384).to_bytes(4, "big") + b"\x07" + (5).to_bytes(4, "big") + bytes(4) + bytes(16384))


def _hang_up(peer: PeerConnection, content: Content, request: Request, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


def _refuse(peer: PeerConnection, content: Content, request: Request, writer: asyncio.StreamWriter) -> None:
    peer.reject(request.block)


def _beside_an_honest_seed(tmp_path: Path, answer: Answer, *, limit: int | None = None) -> None:
    async def main() -> None:
        content = single(tmp_path / "in", 600_000)
        async with (
            seeding(content, transports=["clear"], upload_bytes_per_s=limit) as honest,
            _fake_seed(content, answer) as port,
        ):
            peers = [(LIAR, port)]
            await fetch(content.torrent, tmp_path / "out", honest.port, peers=peers, transports=["clear"])
        assert content.same_in(tmp_path / "out")

    asyncio.run(main())


def test_liar_is_banned_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    _beside_an_honest_seed(tmp_path, _lie, limit=2_000_000)
    banned = [record.getMessage() for record in caplog.records if "banned" in record.getMessage()]
    assert len(banned) == 1
    assert banned[0].startswith(f"{LIAR}: banned: sent piece ")


def test_liar_alone_does_not_spoil_the_folder(tmp_path: Path) -> None:
    async def main() -> None:
        content = single(tmp_path / "in", 600_000)
        async with _fake_seed(content, _lie) as port:
            with pytest.raises(TimeoutError):
                await fetch(
                    content.torrent,
                    tmp_path / "out",
                    peers=[(LIAR, port)],
                    transports=["clear"],
                    patience_s=1.0,
                )
        assert not any((tmp_path / "out" / "content.bin").read_bytes())  # nothing unverified was written

    asyncio.run(main())


@pytest.mark.parametrize("answer", [_stall, _oversize, _unasked, _hang_up, _refuse], ids=lambda f: f.__name__)
def test_download_survives(tmp_path: Path, answer: Answer) -> None:
    _beside_an_honest_seed(tmp_path, answer)


def test_the_reason_for_dropping_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    _beside_an_honest_seed(tmp_path, _oversize, limit=2_000_000)
    dropped = [record.getMessage() for record in caplog.records if record.getMessage().startswith(LIAR)]
    assert any("broke the protocol" in line for line in dropped)


def test_a_peer_that_comes_back_is_dialled_again(tmp_path: Path) -> None:
    served = 0

    def hang_up_twice(
        peer: PeerConnection, content: Content, request: Request, writer: asyncio.StreamWriter
    ) -> None:
        nonlocal served
        served += 1
        if served in (3, 6):
            writer.transport.abort()
        else:
            _be_honest(peer, content, request, writer)

    async def main() -> None:
        content = single(tmp_path / "in", 600_000)
        async with _fake_seed(content, hang_up_twice) as port:
            await fetch(content.torrent, tmp_path / "out", peers=[(LIAR, port)], transports=["clear"])
        assert content.same_in(tmp_path / "out")

    asyncio.run(main())


def test_connection_to_self_is_noticed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def main() -> None:
        from tests.session.swarming import free_port

        for transport in ("clear", "btls_basic"):
            content, port = single(tmp_path / "in", 100_000), free_port()
            with pytest.raises(TimeoutError):
                await fetch(
                    content.torrent,
                    tmp_path / transport,
                    port,
                    port=port,
                    transports=[transport],
                    patience_s=0.7,
                )

    asyncio.run(main())
    assert any("self" in record.getMessage() for record in caplog.records)


async def _talk(port: int, first: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(first)
    answer = b""
    with contextlib.suppress(TimeoutError, ConnectionError):
        while data := await asyncio.wait_for(reader.read(65536), 0.5):
            answer += data
    writer.close()
    return answer


@pytest.mark.parametrize(
    "message",
    [
        b"\x00\x00\x00\x0d\x06" + (9999).to_bytes(4, "big") + bytes(4) + (16384).to_bytes(4, "big"),
        b"\x00\x00\x00\x0d\x06" + bytes(4) + bytes(4) + (1 << 30).to_bytes(4, "big"),
        b"\x7f\xff\xff\xff\x14",
        b"\x00\x00\x00\x05\x04\xff\xff\xff\xff",
        b"\x00\x00\x00\x03\x05\xff\xff",
        b"\x00\x00\x00\x08\x14\x00d1:mi1",
    ],
    ids=["piece", "length", "oversize", "have", "bitfield", "bencode"],
)
def test_seed_drops_a_peer_that_breaks_the_protocol(tmp_path: Path, message: bytes) -> None:
    async def main() -> None:
        content = single(tmp_path / "in", 100_000)
        async with seeding(content, transports=["clear"]) as end:
            hello = Handshake(content.torrent.infohash, b"-XX0000-0123456789ab").encode()
            answer = await _talk(end.port, hello + message)
            assert answer.startswith(b"\x13BitTorrent protocol")
            await fetch(content.torrent, tmp_path / "out", end.port, transports=["clear"])
        assert content.same_in(tmp_path / "out")

    asyncio.run(main())


def test_hostile_metadata_is_a_clear_error(tmp_path: Path) -> None:
    """The infohash vouches for the bytes, not for their sense."""
    info = b"d6:lengthi5e4:name1:x12:piece lengthi3e6:pieces0:e"
    infohash = hashlib.sha1(info, usedforsecurity=False).digest()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = PeerConnection(
            initiator=False, peer_id=b"-LI0000-0123456789ab", infohash=infohash, extensions={metadata.NAME: 7}
        )
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                for event in peer.receive(data):
                    if isinstance(event, Handshake):
                        peer.handshake()
                        peer.extended_handshake(
                            extension.handshake_fields({metadata.NAME: 7}, metadata_size=len(info))
                        )
                    elif isinstance(event, ExtensionMessage):
                        asked = metadata.decode(event.payload)
                        assert isinstance(asked, metadata.MetadataRequest)
                        peer.extended_message(metadata.NAME, metadata.answer(info, asked))
                writer.writelines(peer.data_to_send())
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            with pytest.raises(InputError):
                await fetch(Magnet(infohash), tmp_path / "out", port, transports=["clear"])
        finally:
            server.close()
            await asyncio.sleep(0.05)

    asyncio.run(main())
    assert not (tmp_path / "out").exists()


def test_two_that_have_everything_part(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def main() -> None:
        content = single(tmp_path / "in", 100_000)
        async with seeding(content) as first, seeding(content, peers=[("127.0.0.1", first.port)]):
            await asyncio.sleep(1.3)

    asyncio.run(main())
    assert any("both have everything" in record.getMessage() for record in caplog.records)


def test_a_flood_of_metadata_requests_is_rejected(tmp_path: Path) -> None:
    """An answer is 300 times as long as its request: only a few rounds are served (BEP 9)."""
    content = single(tmp_path / "in", 100_000)
    flood = 200

    async def main() -> int:
        peer = PeerConnection(
            initiator=True,
            peer_id=b"-LI0000-0123456789ab",
            infohash=content.torrent.infohash,
            extensions={metadata.NAME: 1},
        )
        answers: list[metadata.MetadataMessage | None] = []
        async with seeding(content, transports=["clear"]) as end:
            reader, writer = await asyncio.open_connection("127.0.0.1", end.port)
            peer.handshake()
            writer.writelines(peer.data_to_send())
            while len(answers) < flood:
                for event in peer.receive(await asyncio.wait_for(reader.read(65536), 5.0)):
                    if isinstance(event, extension.ExtensionHandshake):
                        peer.extended_handshake(extension.handshake_fields({metadata.NAME: 1}))
                        for _ in range(flood):
                            request = metadata.encode(metadata.MetadataRequest(0))
                            peer.extended_message(metadata.NAME, request)
                    elif isinstance(event, ExtensionMessage):
                        answers.append(metadata.decode(event.payload))
                writer.writelines(peer.data_to_send())
            writer.close()
        assert {type(answer) for answer in answers} == {metadata.MetadataData, metadata.MetadataReject}
        return sum(isinstance(answer, metadata.MetadataData) for answer in answers)

    assert asyncio.run(main()) == 3
