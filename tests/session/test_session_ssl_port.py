"""SSL torrents: own peer with libtorrent both ways, and never anywhere but on their own port."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from btresearch.errors import InputError
from btresearch.peer import Torrent
from btresearch.peer.address import Address
from btresearch.peer.ssl_root import with_ssl_root
from btresearch.session import ssl_port
from btresearch.session.membership import Membership
from btresearch.session.node import Node
from btresearch.session.policy import Policy
from btresearch.transport.ssl_torrent import PeerCertificate
from tests.session.swarming import HOST, Content, fetch, free_port, seeding, single
from tests.transport.ssl_peers import DAY, authority, key_pem, member, pem_of, root

OFF = (
    "enable_dht",
    "enable_lsd",
    "enable_upnp",
    "enable_natpmp",
    "enable_incoming_utp",
    "enable_outgoing_utp",
)


def ssl_content(folder: Path) -> Content:
    plain = single(folder, 300_001)
    return Content(with_ssl_root(plain.torrent, root().pem), plain.folder)


@dataclass
class Libtorrent:
    """A session with one SSL torrent."""

    handle: Any
    session: Any
    port: int
    ssl_port: int

    @classmethod
    def start(cls, content: Content, folder: Path, pems: Path, *, seed: bool, name: str = "*") -> Libtorrent:
        lt = pytest.importorskip("libtorrent")
        port, ssl = free_port(), free_port()
        listen = f"{HOST}:{port},{HOST}:{ssl}s"
        session = lt.session(
            {
                "listen_interfaces": listen,
                "allow_multiple_connections_per_ip": True,
                **dict.fromkeys(OFF, False),
            }
        )
        parameters = lt.load_torrent_buffer(content.torrent.dump())
        parameters.save_path = str(folder)
        parameters.flags &= ~lt.torrent_flags.auto_managed
        if seed:
            parameters.flags |= lt.torrent_flags.seed_mode
        handle = session.add_torrent(parameters)
        leaf, key = root().issue(name)
        (pems / "chain.pem").write_bytes(pem_of(leaf))
        (pems / "key.pem").write_bytes(key_pem(key))
        handle.set_ssl_certificate(str(pems / "chain.pem"), str(pems / "key.pem"), "", "")
        handle.resume()
        return cls(handle, session, port, ssl)

    async def finish(self, port: int, patience_s: float = 20.0) -> bool:
        """Dial until the download is complete; a first call is often lost."""
        deadline = time.monotonic() + patience_s
        while not self.handle.status().is_seeding and time.monotonic() < deadline:
            if not self.handle.get_peer_info():
                self.handle.connect_peer((HOST, port))
            await asyncio.sleep(0.2)
        return bool(self.handle.status().is_seeding)


@pytest.mark.interop
@pytest.mark.slow
@pytest.mark.parametrize("name", ["*", "content.bin"])
def test_get_from_libtorrent(tmp_path: Path, name: str) -> None:
    async def main() -> None:
        content = ssl_content(tmp_path / "in")
        other = Libtorrent.start(content, content.folder, tmp_path, seed=True, name=name)
        await fetch(content.torrent, tmp_path / "out", other.ssl_port, ssl_certificate=member())
        assert content.same_in(tmp_path / "out")

    asyncio.run(main())


@pytest.mark.interop
@pytest.mark.slow
def test_seed_to_libtorrent(tmp_path: Path) -> None:
    async def main() -> None:
        content = ssl_content(tmp_path / "in")
        async with seeding(content, ssl_certificate=member()) as end:
            other = Libtorrent.start(content, tmp_path / "out", tmp_path, seed=False)
            assert await other.finish(end.port)
            del other
        assert content.same_in(tmp_path / "out")

    asyncio.run(main())


@pytest.mark.interop
@pytest.mark.slow
def test_libtorrent_refuses_whom_we_refuse(tmp_path: Path) -> None:
    async def main() -> None:
        content = ssl_content(tmp_path / "in")
        other = Libtorrent.start(content, content.folder, tmp_path, seed=True)
        for stranger in (authority().peer("*"), root().peer("another"), root().peer("*", ends=-DAY)):
            with pytest.raises(TimeoutError):
                await fetch(
                    content.torrent,
                    tmp_path / "out",
                    other.ssl_port,
                    ssl_certificate=stranger,
                    patience_s=1.5,
                )

    asyncio.run(main())


def test_own_peer_both_ways(tmp_path: Path) -> None:
    async def main() -> None:
        content = ssl_content(tmp_path / "in")
        async with seeding(content, ssl_certificate=member()) as end:
            await fetch(
                content.torrent, tmp_path / "out", end.port, ssl_certificate=root().peer("content.bin")
            )
        assert content.same_in(tmp_path / "out")

    asyncio.run(main())


@pytest.mark.parametrize("transport", ["clear", "mse_rc4", "btls_basic"])
def test_it_is_spoken_on_no_other_port_and_in_no_other_way(tmp_path: Path, transport: str) -> None:
    """The dialling end believes it to be an ordinary torrent: it knows the infohash and nothing more."""

    async def main() -> None:
        content = ssl_content(tmp_path / "in")
        async with Node(host=HOST, ssl_certificate=member(), policy=Policy()) as home:
            home.join(Membership.of(content.torrent), content.torrent)
            assert home.port_of(content.torrent.infohash) != home.port
            async with Node(host=HOST, policy=Policy((transport,))) as other:
                swarm = other.join(Membership.basic(content.torrent.infohash))
                for port in (home.port, home.port_of(content.torrent.infohash)):
                    swarm.add_peers([Address(HOST, port)], patient=True)
                await asyncio.sleep(0.4)
                assert not any(remote.connection.established for remote in swarm.remotes)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("ssl", "transports", "certificate", "wanted"),
    [
        (True, ("clear",), member(), ("ssl_torrent",)),
        (True, ("clear",), None, "this is an SSL torrent"),
        (False, ("ssl_torrent",), member(), "ssl-cert"),
        (False, ("clear", "ssl_torrent"), None, ("clear", "ssl_torrent")),
    ],
)
def test_the_torrent_decides(
    tmp_path: Path,
    ssl: bool,
    transports: tuple[str, ...],
    certificate: PeerCertificate | None,
    wanted: tuple[str, ...] | str,
) -> None:
    torrent: Torrent = (ssl_content if ssl else single)(tmp_path / "in").torrent
    if isinstance(wanted, str):
        with pytest.raises(InputError, match=wanted):
            ssl_port.check(torrent, transports, certificate)
    else:
        assert ssl_port.check(torrent, transports, certificate) == wanted


def test_pem_files(tmp_path: Path) -> None:
    leaf, key = root().issue("*")
    (tmp_path / "chain.pem").write_bytes(pem_of(leaf))
    (tmp_path / "key.pem").write_bytes(key_pem(key))
    assert ssl_port.load_certificate(tmp_path / "chain.pem", tmp_path / "key.pem").chain == (leaf,)
    with pytest.raises(InputError, match="absent"):
        ssl_port.load_certificate(tmp_path / "absent", tmp_path / "key.pem")
    with pytest.raises(InputError, match="certificate"):
        ssl_port.with_authority(single(tmp_path / "in").torrent, tmp_path / "key.pem")
