"""BitTorrent v2 and hybrid torrents between own peers: by file, by link, after a stop, and broken."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from btresearch.errors import BtresearchError, InputError
from btresearch.peer import Magnet, Torrent
from btresearch.session.check import check
from btresearch.session.storage import Storage
from btresearch.session.torrent_file import Version, create
from tests.session.swarming import Content, fetch, seeding
from tests.session.v2_content import ALBUM, album, lone

TRANSPORTS = ("clear", "mse_rc4", "btls_basic")
VERSIONS: tuple[Version, ...] = (2, "hybrid")


def link(torrent: Torrent, *, v1: bool = True, v2: bool = True) -> Magnet:
    """Round trip through the text of a link."""
    assert torrent.infohash_v2 is not None
    infohash = torrent.infohash if v1 else torrent.infohash_v2[:20]
    return Magnet.parse(Magnet(infohash, infohash_v2=torrent.infohash_v2 if v2 else None).format())


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("version", VERSIONS)
def test_transfer(tmp_path: Path, version: Version, transport: str) -> None:
    async def main() -> None:
        content = album(tmp_path / "in", version)
        async with seeding(content, transports=[transport]) as end:
            result = await fetch(content.torrent, tmp_path / "out", end.port, transports=[transport])
        assert content.same_in(tmp_path / "out")
        assert result.downloaded_bytes >= sum(ALBUM.values())

    asyncio.run(main())


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(
    ("version", "v1", "v2"),
    [(2, True, True), ("hybrid", True, True), ("hybrid", True, False), ("hybrid", False, True)],
)
def test_transfer_by_magnet(tmp_path: Path, version: Version, v1: bool, v2: bool, transport: str) -> None:
    async def main() -> None:
        content = album(tmp_path / "in", version)
        source = link(content.torrent, v1=v1, v2=v2)
        async with seeding(content, transports=[transport]) as end:
            result = await fetch(source, tmp_path / "out", end.port, transports=[transport])
        assert content.same_in(tmp_path / "out")
        assert result.torrent.infohashes == content.torrent.infohashes
        if v2:
            assert result.torrent.dump() == content.torrent.dump()

    asyncio.run(main())


@pytest.mark.parametrize("size_bytes", [1, 16384, 32768, 32769, 600 * 16384 + 5])
def test_single_files_by_magnet(tmp_path: Path, size_bytes: int) -> None:
    async def main() -> None:
        content = lone(tmp_path / "in", 2, size_bytes, piece_bytes=16384)
        async with seeding(content, transports=["clear"]) as end:
            await fetch(link(content.torrent), tmp_path / "out", end.port, transports=["clear"])
        assert content.same_in(tmp_path / "out")

    asyncio.run(main())


def test_many_files(tmp_path: Path) -> None:
    async def main() -> None:
        folder = tmp_path / "in" / "many"
        folder.mkdir(parents=True)
        for number in range(300):
            (folder / f"{number:03}").write_bytes(bytes([number % 256]) * (number * 37 % 20_000))
        content = Content(create(folder, piece_length_bytes=16384, version=2), tmp_path / "in")
        async with seeding(content, transports=["clear"]) as end:
            await fetch(link(content.torrent), tmp_path / "out", end.port, transports=["clear"])
        assert content.same_in(tmp_path / "out")

    asyncio.run(main())


@pytest.mark.parametrize("version", VERSIONS)
def test_resumes(tmp_path: Path, version: Version) -> None:
    async def main() -> None:
        content = lone(tmp_path / "in", version, 3_000_000)
        limited = {"upload_bytes_per_s": 600_000, "transports": ["clear"]}
        async with seeding(content, **limited) as end:
            with pytest.raises(TimeoutError):
                await fetch(content.torrent, tmp_path / "out", end.port, patience_s=1.5, transports=["clear"])
        async with seeding(content, transports=["clear"]) as end:
            result = await fetch(content.torrent, tmp_path / "out", end.port, transports=["clear"])
        assert result.resumed_bytes > 0
        assert result.downloaded_bytes < 3_000_000
        assert content.same_in(tmp_path / "out")

    asyncio.run(main())


@pytest.mark.parametrize("version", VERSIONS)
def test_check_finds_the_one_wrong_piece(tmp_path: Path, version: Version) -> None:
    content = album(tmp_path / "in", version)
    path = content.folder / "album" / "d"
    path.write_bytes(b"\xff" + path.read_bytes()[1:])
    storage = Storage.find(content.torrent, content.folder)
    have = asyncio.run(check(content.torrent, storage))
    storage.close()
    offset = next(file.offset_bytes for file in content.torrent.files if file.path[-1] == "d")
    assert list(have.missing()) == [offset // content.torrent.piece_length_bytes]


def test_a_hybrid_that_contradicts_itself_fails(tmp_path: Path) -> None:
    content = album(tmp_path / "in", "hybrid")
    wrong = replace(content.torrent, pieces=b"x" * 20 + content.torrent.pieces[20:])
    storage = Storage.find(wrong, content.folder)
    with pytest.raises(InputError, match="right SHA-256, not SHA-1"):
        asyncio.run(check(wrong, storage))
    storage.close()


def test_a_hybrid_that_contradicts_itself_fails_while_downloading(tmp_path: Path) -> None:
    async def main() -> None:
        content = album(tmp_path / "in", "hybrid")
        wrong = replace(content.torrent, pieces=b"x" * 20 + content.torrent.pieces[20:])
        async with seeding(content, transports=["clear"]) as end:
            with pytest.raises(BtresearchError, match="one content for both hashes"):
                await fetch(wrong, tmp_path / "out", end.port, transports=["clear"])

    asyncio.run(main())


def test_one_swarm_of_v1_and_v2_links(tmp_path: Path) -> None:
    """One who knows only btih and one who knows only btmh meet at a hybrid seed, and serve each other."""

    async def main() -> None:
        content = lone(tmp_path / "in", "hybrid", 500_000)
        async with seeding(content, transports=["clear"]) as end:
            old = fetch(link(content.torrent, v2=False), tmp_path / "v1", end.port, transports=["clear"])
            new = fetch(link(content.torrent, v1=False), tmp_path / "v2", end.port, transports=["clear"])
            await asyncio.gather(old, new)
        assert content.same_in(tmp_path / "v1")
        assert content.same_in(tmp_path / "v2")

    asyncio.run(main())
