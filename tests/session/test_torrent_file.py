"""Torrents from disk: hashes over file borders, order, what is left out, clear refusals."""

from __future__ import annotations

import hashlib
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.errors import InputError
from btresearch.peer import Torrent
from btresearch.session import torrent_file

PIECE = 16384


def tree(root: Path) -> bytes:
    """A folder of three files; its content in the order of names."""
    (root / "b").mkdir(parents=True)
    contents = {root / "a.bin": 20_000, root / "b" / "c.bin": 5, root / "z.bin": 40_000}
    for path, size in contents.items():
        path.write_bytes(Random(size).randbytes(size))
    (root / "link").symlink_to(root / "a.bin")
    return b"".join(path.read_bytes() for path in contents)


def test_folder(tmp_path: Path) -> None:
    content = tree(tmp_path / "tree")
    seen: list[tuple[int, int]] = []
    torrent = torrent_file.create(
        tmp_path / "tree",
        piece_length_bytes=PIECE,
        announce=[["http://t"]],
        private=True,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert [file.path for file in torrent.files] == [
        ("tree", "a.bin"),
        ("tree", "b", "c.bin"),
        ("tree", "z.bin"),
    ]
    hashes = [hashlib.sha1(content[at : at + PIECE]).digest() for at in range(0, len(content), PIECE)]
    assert torrent.pieces == b"".join(hashes)
    assert torrent.private
    assert seen[-1] == (len(content), len(content))
    assert Torrent.load(torrent.dump()) == torrent


def test_single_file(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"x" * PIECE)
    torrent = torrent_file.create(tmp_path / "one")
    assert torrent.files[0].path == ("one",)
    assert torrent.pieces == hashlib.sha1(b"x" * PIECE).digest()


def test_same_content_same_infohash(tmp_path: Path) -> None:
    for name in ("1", "2"):
        tree(tmp_path / name / "tree")
    first, second = (torrent_file.create(tmp_path / name / "tree").infohash for name in ("1", "2"))
    assert first == second


@settings(deadline=None, max_examples=60)
@given(st.lists(st.binary(max_size=50), max_size=10), st.integers(1, 40))
def test_hashes_do_not_depend_on_the_blocks(parts: list[bytes], piece_length: int) -> None:
    content = b"".join(parts)
    expected = [
        hashlib.sha1(content[at : at + piece_length]).digest() for at in range(0, len(content), piece_length)
    ]
    assert list(torrent_file.piece_hashes(map(memoryview, parts), piece_length)) == expected


@pytest.mark.parametrize(
    ("total", "expected"), [(1, 16384), (100 << 20, 128 << 10), (1 << 30, 1 << 20), (1 << 40, 16 << 20)]
)
def test_piece_length_aims_at_a_small_torrent(total: int, expected: int) -> None:
    assert torrent_file.piece_length_for(total) == expected


def test_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "bad\nname").mkdir()
    (tmp_path / "bad\nname" / "file").write_bytes(b"x")
    with pytest.raises(InputError, match="at least one byte"):
        torrent_file.create(tmp_path / "empty")
    with pytest.raises(InputError, match="a file or a folder"):
        torrent_file.create(tmp_path / "absent")
    with pytest.raises(InputError, match="power of two"):
        torrent_file.create(tmp_path / "file", piece_length_bytes=20_000)
    with pytest.raises(InputError, match="control characters"):
        torrent_file.create(tmp_path / "bad\nname")
