"""Files and pieces: nothing outside the folder, nothing unverified trusted."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import json
import os
from pathlib import Path

import pytest

from btresearch.peer import PieceSet, Torrent, bencode
from btresearch.session import StorageError, get, resume
from btresearch.session.check import check
from btresearch.session.storage import MAX_OPEN_FILES, Storage
from btresearch.session.torrent_file import create
from tests.session.swarming import HOST, Content, fetch, seeding, several, single


def _copy(content: Content, out: Path) -> Storage:
    """A storage that holds everything."""
    source = Storage.find(content.torrent, content.folder)
    storage = Storage.create(content.torrent, out)
    for index in range(content.torrent.piece_count):
        storage.write(index * content.torrent.piece_length_bytes, source.read_piece(index))
    source.close()
    return storage


def test_pieces_cross_files_and_empty_files_exist(tmp_path: Path) -> None:
    content = several(tmp_path / "in")
    _copy(content, tmp_path / "out").close()
    assert content.same_in(tmp_path / "out")
    assert (tmp_path / "out" / "album" / "sub" / "empty").stat().st_size == 0


def test_content_is_found_where_people_point(tmp_path: Path) -> None:
    content, one = several(tmp_path / "in"), single(tmp_path / "one")
    renamed = (tmp_path / "in" / "album").rename(tmp_path / "in" / "renamed")
    for torrent, path in (
        (content.torrent, renamed),
        (one.torrent, tmp_path / "one"),
        (one.torrent, tmp_path / "one" / "content.bin"),
    ):
        storage = Storage.find(torrent, path)
        assert asyncio.run(check(torrent, storage)).complete
        storage.close()
    with pytest.raises(StorageError, match="not found"):
        Storage.find(one.torrent, tmp_path / "nowhere")
    with pytest.raises(StorageError, match="is a file"):
        Storage.find(content.torrent, tmp_path / "one" / "content.bin")


def test_more_files_than_descriptors(tmp_path: Path) -> None:
    folder = tmp_path / "in" / "many"
    folder.mkdir(parents=True)
    for number in range(MAX_OPEN_FILES + 20):
        (folder / f"{number:04}").write_bytes(b"%04d" % number)
    content = Content(create(folder), tmp_path / "in")
    storage = _copy(content, tmp_path / "out")
    assert len(storage._open) <= MAX_OPEN_FILES
    storage.close()
    assert content.same_in(tmp_path / "out")


@pytest.mark.parametrize("link", ["file", "folder", "dangling"])
def test_links_in_the_output_are_refused_and_their_targets_untouched(tmp_path: Path, link: str) -> None:
    content = several(tmp_path / "in")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.bin").write_bytes(b"precious")
    album = tmp_path / "out" / "album"
    album.parent.mkdir()
    if link == "folder":
        album.symlink_to(outside)
    else:
        album.mkdir()
        (album / "a.bin").symlink_to(outside / ("a.bin" if link == "file" else "new.bin"))
    with pytest.raises(StorageError, match="refused"):
        Storage.create(content.torrent, tmp_path / "out")
    assert [path.name for path in outside.iterdir()] == ["a.bin"]
    assert (outside / "a.bin").read_bytes() == b"precious"


def test_special_files_and_folders_in_the_way_are_refused(tmp_path: Path) -> None:
    content = single(tmp_path / "in")
    (tmp_path / "fifo").mkdir()
    os.mkfifo(tmp_path / "fifo" / "content.bin")
    with pytest.raises(StorageError, match=r"no regular file|No such device"):
        Storage.create(content.torrent, tmp_path / "fifo")
    (tmp_path / "folder" / "content.bin").mkdir(parents=True)
    with pytest.raises(StorageError, match="directory"):
        Storage.create(content.torrent, tmp_path / "folder")
    (tmp_path / "plain").write_bytes(b"")
    with pytest.raises(StorageError):
        Storage.create(content.torrent, tmp_path / "plain")


def test_paths_that_climb_stay_inside(tmp_path: Path) -> None:
    """A hostile torrent's names are made harmless or refused when it is read; nothing lands outside."""
    pieces = bytes(20)
    for parts in (["..", "x"], ["/etc", "x"], ["a", "..", "..", "x"], ["a\0b"], ["."], [""]):
        listed = b"".join(b"%d:%s" % (len(part.encode()), part.encode()) for part in parts)
        info = (
            b"d5:filesld6:lengthi5e4:pathl" + listed + b"eee"
            b"4:name3:top12:piece lengthi16384e6:pieces20:" + pieces + b"e"
        )
        out = tmp_path / "deep" / "out"
        try:
            torrent = Torrent.load(b"d4:info" + info + b"e")
        except Exception as error:
            assert type(error).__name__ == "InputError"
            continue
        Storage.create(torrent, out).close()
    outside = [path for path in tmp_path.rglob("*") if tmp_path / "deep" / "out" not in (path, *path.parents)]
    assert outside == [] or outside == [tmp_path / "deep"]


def test_disk_full_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int, data: object, offset: int) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    async def main() -> None:
        content = single(tmp_path / "in")
        async with seeding(content, transports=["clear"]) as end:
            monkeypatch.setattr(os, "pwrite", full)
            await fetch(content.torrent, tmp_path / "out", end.port, transports=["clear"])

    with pytest.raises(StorageError, match=r"content\.bin: disk full .*start again to resume"):
        asyncio.run(main())


def test_check_skips_holes_but_knows_zeros(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    data = os.urandom(16384) + bytes(16384 * 20) + os.urandom(16384)
    (tmp_path / "in" / "content.bin").write_bytes(data)
    torrent = create(tmp_path / "in" / "content.bin", piece_length_bytes=16384)
    storage = Storage.create(torrent, tmp_path / "out")
    assert sum(length for _, length in storage.holes()) == len(data)
    have = asyncio.run(check(torrent, storage))
    assert sorted(have) == list(range(1, 21))  # a hole reads as zeros, and zeros are what is wanted there
    storage.close()


def _resumable(tmp_path: Path) -> tuple[Content, Storage, PieceSet]:
    content = several(tmp_path / "in")
    storage = _copy(content, tmp_path / "out")
    have = PieceSet(content.torrent.piece_count, [0, 2])
    resume.save(storage, content.torrent.infohash, have)
    return content, storage, have


def test_resume_file_round_trip(tmp_path: Path) -> None:
    content, storage, have = _resumable(tmp_path)
    assert resume.load(storage, content.torrent.infohash) == have
    resume.remove(storage, content.torrent.infohash)
    assert resume.load(storage, content.torrent.infohash) is None
    storage.close()


@pytest.mark.parametrize("change", ["mtime", "size", "version", "boot", "torrent", "garbage", "bits", "link"])
def test_stale_or_damaged_resume_data_is_not_trusted(tmp_path: Path, change: str) -> None:
    content, storage, _ = _resumable(tmp_path)
    path = resume.path_of(storage, content.torrent.infohash)
    record = json.loads(path.read_text())
    if change == "mtime":
        os.utime(tmp_path / "out" / "album" / "a.bin", ns=(1, 1))
    elif change == "size":
        os.truncate(tmp_path / "out" / "album" / "z.txt", 1)
    elif change == "garbage":
        path.write_bytes(b"\xff{")
    elif change == "link":
        path.rename(tmp_path / "elsewhere")
        path.symlink_to(tmp_path / "elsewhere")
    else:
        key, value = {
            "version": ("version", 99),
            "boot": ("boot", "another"),
            "torrent": ("infohash", "00" * 20),
            "bits": ("have", "ffff00"),
        }[change]
        path.write_text(json.dumps(record | {key: value}))
    assert resume.load(storage, content.torrent.infohash) is None
    storage.close()


def test_what_is_on_disk_is_checked_when_resume_data_lies(tmp_path: Path) -> None:
    async def main() -> None:
        content = single(tmp_path / "in")
        storage = _copy(content, tmp_path / "out")
        with (tmp_path / "out" / "content.bin").open("r+b") as file:
            file.write(b"damage")
        storage.close()
        async with seeding(content, transports=["clear"]) as end:
            result = await fetch(content.torrent, tmp_path / "out", end.port, transports=["clear"])
        assert result.downloaded_bytes == content.torrent.piece_length_bytes
        assert content.same_in(tmp_path / "out")

    asyncio.run(main())


def test_longer_file_is_cut(tmp_path: Path) -> None:
    async def main() -> None:
        content = single(tmp_path / "in")
        _copy(content, tmp_path / "out").close()
        with (tmp_path / "out" / "content.bin").open("ab") as file:
            file.write(b"tail")
        result = await get(content.torrent, tmp_path / "out", host=HOST)
        assert result.downloaded_bytes == 0
        assert content.same_in(tmp_path / "out")

    asyncio.run(main())


def _padded(folder: Path) -> Content:
    """Two files, each beginning a piece, with a padding file between them that is on no disk (BEP 47)."""
    first, second = b"A" * 10_000, b"C" * 7_000
    gap = 16384 - len(first)
    files: list[bencode.Encodable] = [
        {b"length": len(first), b"path": ["a"]},
        {b"attr": "p", b"length": gap, b"path": ["a"]},  # its name may be anyone's
        {b"length": len(second), b"path": ["c"]},
    ]
    hashes = hashlib.sha1(first + bytes(gap)).digest() + hashlib.sha1(second).digest()
    info: dict[bytes, bencode.Encodable] = {
        b"name": "padded",
        b"piece length": 16384,
        b"pieces": hashes,
        b"files": files,
    }
    (folder / "padded").mkdir(parents=True)
    (folder / "padded" / "a").write_bytes(first)
    (folder / "padded" / "c").write_bytes(second)
    return Content(Torrent.from_info(bencode.encode(info)), folder)


def test_padding_files_are_served_and_not_stored(tmp_path: Path) -> None:
    content = _padded(tmp_path / "in")

    async def main() -> None:
        async with seeding(content, transports=["clear"]) as end:
            await fetch(content.torrent, tmp_path / "out", end.port, transports=["clear"])

    asyncio.run(main())
    assert content.same_in(tmp_path / "out")


def test_a_torrent_beyond_the_disk_is_refused_before_it_fills_it(tmp_path: Path) -> None:
    pieces = bytes(20) * (1 << 40 >> 27)
    state = os.statvfs(tmp_path)
    assert state.f_bavail * state.f_frsize < 1 << 40
    torrent = Torrent.create("x", [((), 1 << 40)], pieces, piece_length_bytes=1 << 27)
    with pytest.raises(StorageError, match="disk full"):
        Storage.create(torrent, tmp_path / "out")
    assert (tmp_path / "out" / "x").stat().st_blocks == 0
