"""Hash requests at a seed that an unkind peer sends, and hashes from a seed that lies."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from btresearch.peer import Magnet, PeerConnection, PieceSet, merkle
from btresearch.peer.hash_answers import HashAnswers
from btresearch.peer.hashes import Hashes, HashRange, HashReject, HashRequest
from btresearch.session import hash_exchange
from tests.session.swarming import HOST, Content, fetch, seeding
from tests.session.v2_content import PIECE_BYTES, album, lone


async def ask(port: int, content: Content, wanted: list[HashRange]) -> list[Hashes | HashReject]:
    """The answers to these requests, over a connection of the test's own."""
    reader, writer = await asyncio.open_connection(HOST, port)
    infohash = (content.torrent.infohash_v2 or b"")[:20]
    peer = PeerConnection(
        initiator=True, peer_id=b"-XX0000-hash-request", infohash=infohash, infohash_v2=infohash
    )
    peer.handshake()
    answers: list[Hashes | HashReject] = []
    sent = False
    async with asyncio.timeout(10):
        while len(answers) < len(wanted):
            writer.write(b"".join(peer.data_to_send()))
            events = peer.receive(await reader.read(1 << 16))
            answers += [event for event in events if isinstance(event, Hashes | HashReject)]
            if peer.established and not sent:
                sent = True
                peer.pieces(PieceSet(content.torrent.piece_count))
                for each in wanted:
                    peer.hashes(HashRequest(each))
    writer.close()
    return answers


def test_leaves_and_pieces_are_served_with_their_proof(tmp_path: Path) -> None:
    async def main() -> None:
        content = album(tmp_path / "in", 2)
        file = content.torrent.files[0]
        root = file.root or b""
        async with seeding(content, transports=["clear"]) as end:
            wanted = [
                HashRange(root, 0, 2, 2, 3),
                HashRange(root, 1, 0, 8, 2),
                HashRange(bytes(32), 0, 0, 2, 0),
            ]
            leaves, pieces, refused = sorted(
                await ask(end.port, content, wanted), key=lambda answer: wanted.index(answer.range)
            )
        assert isinstance(leaves, Hashes)
        assert isinstance(pieces, Hashes)
        data = (content.folder / "album" / "a.bin").read_bytes()
        assert list(leaves.hashes[:2]) == merkle.leaf_hashes(data)[2:4]
        assert merkle.proven_root(leaves.hashes[:2], leaves.hashes[2:], level=0, index=2) == root
        assert merkle.proven_root(pieces.hashes[:8], pieces.hashes[8:], level=1, index=0) == root
        assert isinstance(refused, HashReject)

    asyncio.run(main())


def test_a_flood_is_refused_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hash_exchange, "MIN_HASHES_GIVEN", 10)

    async def main() -> None:
        content = lone(tmp_path / "in", 2, 8 * PIECE_BYTES)
        root = content.torrent.files[0].root or b""
        async with seeding(content, transports=["clear"]) as end:
            answers = await ask(end.port, content, [HashRange(root, 1, 0, 8, 2)] * 20)
        given = sum(len(answer.hashes) for answer in answers if isinstance(answer, Hashes))
        assert 8 <= given <= 10 + hash_exchange.MAX_ROUNDS * 16
        assert isinstance(answers[-1], HashReject)

    asyncio.run(main())


def test_wrong_hashes_are_never_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first answer of the seed is a lie: it is hung up on, dialled again, and then believed."""
    honest = HashAnswers.from_layers
    told = 0

    def lies_once(self: HashAnswers, wanted: HashRange) -> Hashes | None:
        nonlocal told
        told += 1
        answer = honest(self, wanted)
        return answer if answer is None or told > 1 else Hashes(wanted, (bytes(32), *answer.hashes[1:]))

    monkeypatch.setattr(HashAnswers, "from_layers", lies_once)

    async def main() -> None:
        content = lone(tmp_path / "in", 2, 8 * PIECE_BYTES)
        link = Magnet(content.torrent.infohash, infohash_v2=content.torrent.infohash_v2)
        async with seeding(content, transports=["clear"]) as end:
            result = await fetch(link, tmp_path / "out", end.port, transports=["clear"])
        assert told > 1
        assert result.torrent.piece_layers == content.torrent.piece_layers
        assert content.same_in(tmp_path / "out")

    asyncio.run(main())
