"""What is transferred: files of seeded random bytes and their torrents."""

from __future__ import annotations

import hashlib
import math
import random
from dataclasses import dataclass
from pathlib import Path

PIECE_BYTES = 64 * 1024


@dataclass(frozen=True)
class Content:
    """One file, its torrent, and what must arrive at the other end."""

    name: str
    size_bytes: int
    sha256: str
    infohash: str
    torrent: Path


def draw_size(rng: random.Random, size_bytes: tuple[int, int]) -> int:
    """Draw a size, log-uniform: object sizes spread over orders of magnitude, not over a line."""
    low, high = size_bytes
    return round(math.exp(rng.uniform(math.log(low), math.log(high))))


def make(
    folder: Path, index: int, *, rng: random.Random, size_bytes: tuple[int, int], ssl_root: str = ""
) -> Content:
    """Write file and torrent number `index` below `folder`; the bytes depend on `rng` alone.

    `ssl_root` (PEM) makes it an SSL torrent (libtorrent manual, "SSL torrents": key `ssl-cert` of the info
    dictionary).
    """
    size = draw_size(rng, size_bytes)
    data = rng.randbytes(size)
    name = f"{rng.randbytes(6).hex()}.bin"
    (folder / name).write_bytes(data)
    info = _info(name, data, ssl_root)
    path = folder / f"{index}.torrent"
    path.write_bytes(_bencode({b"info": info}))
    infohash = hashlib.sha1(_bencode(info), usedforsecurity=False).hexdigest()
    return Content(name, size, hashlib.sha256(data).hexdigest(), infohash, path)


def arrived(content: Content, folder: Path) -> bool:
    """Whether the file is there, whole and right."""
    path = folder / content.name
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == content.sha256


def _info(name: str, data: bytes, ssl_root: str) -> dict[bytes, object]:
    pieces = b"".join(
        hashlib.sha1(data[at : at + PIECE_BYTES], usedforsecurity=False).digest()
        for at in range(0, len(data), PIECE_BYTES)
    )
    info: dict[bytes, object] = {
        b"length": len(data),
        b"name": name.encode(),
        b"piece length": PIECE_BYTES,
        b"pieces": pieces,
    }
    if ssl_root:
        info[b"ssl-cert"] = ssl_root.encode()
    return info


def _bencode(value: object) -> bytes:
    """BEP 3 encoding of what `_info` makes."""
    if isinstance(value, dict):
        return b"d" + b"".join(_bencode(key) + _bencode(value[key]) for key in sorted(value)) + b"e"
    if isinstance(value, bytes):
        return b"%d:%s" % (len(value), value)
    return b"i%de" % value if isinstance(value, int) else b""
