"""Workers and the loop: every job answered once, whatever the timing; errors told, never lost."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path

import pytest

from btresearch.peer import Torrent
from btresearch.peer.layout import Block
from btresearch.session import StorageError
from btresearch.session import uploads as uploads_module
from btresearch.session.disk import Disk
from btresearch.session.storage import Storage
from btresearch.session.uploads import Uploads
from tests.session.swarming import single


def _storage(tmp_path: Path) -> tuple[Torrent, Storage]:
    content = single(tmp_path / "in", 200_000, 32768)
    return content.torrent, Storage.create(content.torrent, tmp_path / "out")


def test_good_pieces_are_written_and_bad_ones_are_not(tmp_path: Path) -> None:
    torrent, storage = _storage(tmp_path)
    source = (tmp_path / "in" / "content.bin").read_bytes()
    verdicts: dict[int, bool] = {}

    async def main() -> None:
        with Disk(storage, on_error=lambda error: pytest.fail(str(error))) as disk:
            for index in range(torrent.piece_count):
                data = bytearray(source[index * 32768 : (index + 1) * 32768])
                data[5] ^= index == 2
                good = torrent.piece_hash(index)
                disk.verify_and_write(index, data, good, lambda ok, index=index: verdicts.update({index: ok}))  # type: ignore[misc]
            await disk.drain()

    asyncio.run(main())
    assert verdicts == {index: index != 2 for index in range(torrent.piece_count)}
    written = (tmp_path / "out" / "content.bin").read_bytes()
    assert written[:65536] == source[:65536]
    assert not any(written[65536 : 3 * 32768])
    storage.close()


def test_no_wake_up_is_lost(tmp_path: Path) -> None:
    """Thousands of tiny jobs, put one after the other's answer and in bursts."""
    _, storage = _storage(tmp_path)
    answers = 0

    async def main() -> None:
        nonlocal answers
        with Disk(storage, on_error=lambda error: pytest.fail(str(error))) as disk:
            loop = asyncio.get_running_loop()
            for burst in (1, 3, 1, 50) * 100:
                done = loop.create_future()
                left = burst

                def answered(data: bytes, done: asyncio.Future[None] = done) -> None:
                    nonlocal answers, left
                    answers, left = answers + 1, left - 1
                    if not left:
                        done.set_result(None)

                for _ in range(burst):
                    disk.ask(lambda: storage.read(0, 10), answered)
                await asyncio.wait_for(done, 5)

    asyncio.run(main())
    assert answers == 55 * 100
    storage.close()


def test_errors_reach_the_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, storage = _storage(tmp_path)

    def broken(fd: int, buffers: object, offset: int) -> int:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "preadv", broken)
    told: list[StorageError] = []

    async def main() -> None:
        with Disk(storage, on_error=told.append) as disk:
            disk.read_into(0, memoryview(bytearray(10)), lambda: pytest.fail("no data"))
            await disk.drain()

    asyncio.run(main())
    assert [str(error).endswith("content.bin: Input/output error") for error in told] == [True]
    storage.close()


def test_a_file_that_ends_early_reads_as_zeros(tmp_path: Path) -> None:
    content = single(tmp_path / "in", 50_000, 16384)
    source = (tmp_path / "in" / "content.bin").read_bytes()
    storage = Storage.find(content.torrent, content.folder)
    os.truncate(tmp_path / "in" / "content.bin", 20_000)
    found = bytearray(b"x" * 20_000)
    storage.read_into(10_000, memoryview(found))
    assert found == source[10_000:20_000] + bytes(10_000)
    assert storage.read(10_000, 20_000) == found
    storage.close()


def test_uploads_cache_and_odd_requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads_module, "CHUNK_BYTES", 16384)
    monkeypatch.setattr(uploads_module, "CACHE_BYTES", 40_000)
    content = single(tmp_path / "in", 200_000, 32768)
    source = (tmp_path / "in" / "content.bin").read_bytes()
    storage = Storage.find(content.torrent, content.folder)
    wakes = 0

    def loaded() -> None:
        nonlocal wakes
        wakes += 1

    async def served(uploads: Uploads, disk: Disk, block: Block) -> bytes:
        found = uploads.block(block)
        if found is None:
            await disk.drain()
            found = uploads.block(block)
        assert found is not None
        return bytes(found)

    async def main() -> None:
        with Disk(storage, on_error=lambda error: pytest.fail(str(error))) as disk:
            uploads = Uploads(disk, on_loaded=loaded)
            for block in (Block(0, 0, 16384), Block(1, 16384, 100), Block(6, 0, 3392), Block(2, 16000, 5000)):
                start = block.index * 32768 + block.begin
                assert await served(uploads, disk, block) == source[start : start + block.length]
            assert len(uploads._chunks) * 16384 <= 40_000
            assert uploads._spare
            assert all(uploads.prefetch(Block(index, 0, 1)) for index in range(3, 6))
            await disk.drain()

    asyncio.run(main())
    assert wakes == 6
    storage.close()
