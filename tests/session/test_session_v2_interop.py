"""BitTorrent v2 and hybrid torrents with libtorrent: the same torrents, and transfers both ways."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from btresearch.peer import Magnet, Torrent
from btresearch.session.torrent_file import Version, create
from tests.session.swarming import HOST, Content, fetch, free_port, seeding
from tests.session.test_session_interop import ENCRYPTION, Libtorrent
from tests.session.v2_content import album, lone

pytestmark = pytest.mark.interop
lt: Any = pytest.importorskip("libtorrent")

VERSIONS: tuple[Version, ...] = (2, "hybrid")


def made_by_libtorrent(path: Path, version: Version, piece_bytes: int) -> bytes:
    files = lt.list_files(str(path))
    flags = lt.create_torrent.v2_only if version == 2 else 0
    maker = lt.create_torrent(files, piece_bytes, flags)
    lt.set_piece_hashes(maker, str(path.parent))
    return bytes(lt.bencode(maker.generate()))


@pytest.mark.parametrize("piece_bytes", [16384, 32768, 65536])
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("what", ["album", "tiny", "lone", "folder of one"])
def test_libtorrent_makes_the_same(tmp_path: Path, what: str, version: Version, piece_bytes: int) -> None:
    path = _content(tmp_path, what)
    theirs = made_by_libtorrent(path, version, piece_bytes)
    ours = create(path, version=version, piece_length_bytes=piece_bytes)
    read = Torrent.load(theirs)
    assert ours.info_bytes == read.info_bytes
    assert (ours.infohashes, ours.piece_layers) == (read.infohashes, read.piece_layers)
    hashes = lt.load_torrent_buffer(ours.dump()).ti.info_hashes()
    assert hashes.v2.to_bytes() == ours.infohash_v2
    assert hashes.has_v1() == (version == "hybrid")
    if version == "hybrid":
        assert hashes.v1.to_bytes() == ours.infohash


def _content(tmp_path: Path, what: str) -> Path:
    if what == "album":
        return album(tmp_path, 2).folder / "album"
    if what in ("tiny", "lone"):
        return lone(tmp_path, 2, {"tiny": 10, "lone": 100_001}[what]).folder / "lone.bin"
    lone(tmp_path / "one", 2, 100_001)
    return tmp_path / "one"


def magnet(torrent: Torrent) -> Magnet:
    return Magnet(torrent.infohash, infohash_v2=torrent.infohash_v2)


class ByMagnet(Libtorrent):
    """A libtorrent that knows only the link."""

    def __init__(self, content: Content, folder: Path, transport: str) -> None:
        self.port = free_port()
        off = ("enable_dht", "enable_lsd", "enable_upnp", "enable_natpmp")
        utp = ("enable_incoming_utp", "enable_outgoing_utp")
        self.session = lt.session(
            {
                "listen_interfaces": f"{HOST}:{self.port}",
                "allow_multiple_connections_per_ip": True,
                **dict.fromkeys((*off, *utp), False),
                **ENCRYPTION[transport],
            }
        )
        parameters = lt.parse_magnet_uri(magnet(content.torrent).format())
        parameters.save_path = str(folder)
        self.handle = self.session.add_torrent(parameters)


@pytest.mark.parametrize("transport", ["clear", "mse_rc4"])
@pytest.mark.parametrize("by_magnet", [False, True])
@pytest.mark.parametrize("version", VERSIONS)
def test_get_from_libtorrent(tmp_path: Path, version: Version, by_magnet: bool, transport: str) -> None:
    async def main() -> None:
        content = album(tmp_path / "in", version)
        other = Libtorrent(content, content.folder, transport, seed=True)
        source = magnet(content.torrent) if by_magnet else content.torrent
        result = await fetch(source, tmp_path / "out", other.port, transports=[transport])
        assert content.same_in(tmp_path / "out")
        assert result.torrent.piece_layers == content.torrent.piece_layers

    asyncio.run(main())


@pytest.mark.parametrize("transport", ["clear", "mse_rc4"])
@pytest.mark.parametrize("by_magnet", [False, True])
@pytest.mark.parametrize("version", VERSIONS)
def test_seed_to_libtorrent(tmp_path: Path, version: Version, by_magnet: bool, transport: str) -> None:
    async def main() -> None:
        content = album(tmp_path / "in", version)
        async with seeding(content, transports=[transport]) as end:
            kind = ByMagnet if by_magnet else _by_file
            other = kind(content, tmp_path / "out", transport)
            await other.finish(end.port)
            del other
        assert content.same_in(tmp_path / "out")

    asyncio.run(main())


def _by_file(content: Content, folder: Path, transport: str) -> Libtorrent:
    return Libtorrent(content, folder, transport, seed=False)


def test_hundreds_of_hashes_by_magnet_both_ways(tmp_path: Path) -> None:
    """More pieces than one request may ask for: 1300, of 16 KiB."""

    async def main() -> None:
        content = lone(tmp_path / "in", 2, 1300 * 16384 - 9, piece_bytes=16384)
        async with seeding(content, transports=["clear"]) as end:
            other = ByMagnet(content, tmp_path / "theirs", "clear")
            await other.finish(end.port)
            await fetch(magnet(content.torrent), tmp_path / "ours", other.port, transports=["clear"])
        assert content.same_in(tmp_path / "theirs")
        assert content.same_in(tmp_path / "ours")

    asyncio.run(main())
