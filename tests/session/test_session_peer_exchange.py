"""Peer exchange between own nodes, and with libtorrent."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from btresearch.peer import Address, KnownPeer, Torrent, pex
from btresearch.peer.pex import PexMessage, PexPeer
from btresearch.session import swarm as swarm_module
from btresearch.session.membership import Membership
from btresearch.session.node import Node
from btresearch.session.policy import Policy
from btresearch.session.swarm import Swarm
from tests.session.swarming import HOST, free_port, single

BTLS_ONLY = Policy(("btls_basic",))
CLEAR_ONLY = Policy(("clear",))
PATIENCE_S = 90  # libtorrent speaks once a minute


@dataclass
class _Place:
    node: Node
    swarm: Swarm

    @property
    def address(self) -> Address:
        return Address(HOST, self.node.port)


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(swarm_module, "TICK_S", 0.05)
    yield


@contextlib.asynccontextmanager
async def _places(torrent: Torrent, count: int, policy: Policy) -> AsyncIterator[list[_Place]]:
    async with contextlib.AsyncExitStack() as stack:
        nodes = [
            await stack.enter_async_context(Node(host=HOST, policy=policy, keep_identity=False))
            for _ in range(count)
        ]
        yield [_Place(node, node.join(Membership.of(torrent), torrent)) for node in nodes]


async def _until(condition: Any, patience_s: float = 5.0) -> None:
    async with asyncio.timeout(patience_s):
        while not condition():
            await asyncio.sleep(0.02)


def _connected(place: _Place) -> set[Address | None]:
    return {remote.listens_at for remote in place.swarm.remotes if remote.connection.established}


@pytest.mark.parametrize("policy", [BTLS_ONLY, CLEAR_ONLY])
def test_the_third_peer_learns_of_the_first(policy: Policy, tmp_path: Path) -> None:
    torrent = single(tmp_path / "in").torrent

    async def main() -> None:
        async with _places(torrent, 3, policy) as (first, second, third):
            second.swarm.add_peers([first.address])
            await _until(lambda: _connected(second))
            third.swarm.add_peers([second.address])
            await _until(lambda: first.address in _connected(third) or third.address in _connected(first))
            over_tls = policy is BTLS_ONLY
            assert third.node.tls_memory.knows(first.address) == over_tls

    asyncio.run(main())


def test_two_peers_that_dial_each_other_at_once_keep_one_connection(tmp_path: Path) -> None:
    torrent = single(tmp_path / "in").torrent

    async def main() -> None:
        async with _places(torrent, 2, CLEAR_ONLY) as (first, second):
            first.swarm.add_peers([second.address])
            second.swarm.add_peers([first.address])
            await _until(lambda: len(_connected(first)) == len(_connected(second)) == 1)
            [one], [other] = first.swarm.remotes, second.swarm.remotes
            assert one.connection.initiator != other.connection.initiator

    asyncio.run(main())


def test_a_private_torrent_names_nobody_and_hears_nobody(tmp_path: Path) -> None:
    torrent = single(tmp_path / "in", private=True).torrent
    assert torrent.private

    async def main() -> None:
        async with _places(torrent, 3, CLEAR_ONLY) as (first, second, third):
            second.swarm.add_peers([first.address])
            third.swarm.add_peers([second.address])
            await _until(lambda: len(_connected(second)) == 2)
            await asyncio.sleep(0.3)
            assert first.address not in _connected(third) | _connected(first)
            [remote] = third.swarm.remotes
            assert pex.NAME not in remote.connection.peer_extensions
            remote.exchange.receive(0, pex.encode(PexMessage((PexPeer(first.address),))))
            assert first.address not in third.swarm.dialer._known

    asyncio.run(main())


def test_what_a_message_may_bring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torrent = single(tmp_path / "in").torrent
    heard: list[KnownPeer] = []

    def note(peers: list[KnownPeer], *, hearsay: bool) -> None:
        assert hearsay
        heard.extend(peers)

    async def main() -> None:
        async with _places(torrent, 2, CLEAR_ONLY) as (first, second):
            second.swarm.add_peers([first.address])
            await _until(lambda: _connected(second))
            [remote] = second.swarm.remotes
            monkeypatch.setattr(second.swarm, "add_peers", note)
            home, abroad = Address("10.1.2.3", 1), Address("8.8.8.8", 2)
            both = pex.encode(PexMessage((PexPeer(home), PexPeer(abroad, pex.BTLS))))
            remote.exchange.receive(0, both)
            assert heard == [KnownPeer(home), KnownPeer(abroad, tls=True)]
            heard.clear()
            remote.exchange.receive(1, both)
            assert heard == [], "too soon"
            remote.address = Address("8.8.4.4", 1)
            remote.exchange.receive(pex.INTERVAL_NS, both)
            assert heard == [KnownPeer(abroad, tls=True)], "a stranger abroad sends nobody into this network"
            remote.connection.extended_message(pex.NAME, b"nonsense")
            remote.touch()
            await _until(lambda: not first.swarm.remotes)

    asyncio.run(main())


@pytest.mark.interop
@pytest.mark.slow
def test_libtorrent_names_and_is_told(tmp_path: Path) -> None:
    """Nobody has anything, so nobody is hung up on: ours, libtorrent and ours again, in a row."""
    lt: Any = pytest.importorskip("libtorrent")
    torrent = single(tmp_path / "in").torrent
    quiet = ("enable_dht", "enable_lsd", "enable_upnp", "enable_natpmp")

    async def main() -> None:
        async with _places(torrent, 3, CLEAR_ONLY) as (first, second, third):
            port = free_port()
            home = lt.session(
                dict.fromkeys(quiet, False)
                | {"listen_interfaces": f"{HOST}:{port}", "allow_multiple_connections_per_ip": True}
            )
            parameters = lt.load_torrent_buffer(torrent.dump())
            parameters.save_path = str(tmp_path)
            handle = home.add_torrent(parameters)
            for place in (first, second):
                place.swarm.add_peers([Address(HOST, port)], patient=True)
                await _until(lambda place=place: _connected(place))
            third.swarm.add_peers([first.address])
            began_s = time.monotonic()
            await _until(lambda: first.address in second.swarm.dialer._known, PATIENCE_S)
            await _until(lambda: any(peer.ip == third.address for peer in handle.get_peer_info()), PATIENCE_S)
            assert time.monotonic() - began_s < PATIENCE_S
            home.pause()

    asyncio.run(main())
