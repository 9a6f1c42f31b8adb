"""Small torrents of BEP 52 for tests: several files over and under one piece, empty ones, single ones."""

from __future__ import annotations

import random
from pathlib import Path

from btresearch.session.torrent_file import Version, create
from tests.session.swarming import Content

PIECE_BYTES = 32768
ALBUM = {
    "a.bin": 5 * PIECE_BYTES + 17,
    "b/empty": 0,
    "b/small": 100,
    "c": PIECE_BYTES,
    "d": 40_000,
    "z.txt": 3,
}


def album(folder: Path, version: Version) -> Content:
    """Six files."""
    rng = random.Random(52)
    for name, size in ALBUM.items():
        path = folder / "album" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(rng.randbytes(size))
    return Content(create(folder / "album", piece_length_bytes=PIECE_BYTES, version=version), folder)


def lone(folder: Path, version: Version, size_bytes: int, piece_bytes: int = PIECE_BYTES) -> Content:
    """One file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "lone.bin").write_bytes(random.Random(size_bytes).randbytes(size_bytes))
    return Content(create(folder / "lone.bin", piece_length_bytes=piece_bytes, version=version), folder)
