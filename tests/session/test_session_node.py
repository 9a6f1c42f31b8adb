"""What an endpoint remembers of connections is gone with them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from btresearch.peer.address import Address
from btresearch.session.membership import Membership
from btresearch.session.node import Node
from btresearch.session.policy import Policy
from btresearch.session.swarm import MAX_PEERS, Swarm
from btresearch.transport.btls import ServerIdentity
from btresearch.transport.btls.server_openssl import accept
from tests.session.swarming import HOST, free_port

BTLS = Policy(("btls_basic",))
INFOHASH = bytes(20)


def test_a_dial_that_fails_leaves_nothing() -> None:
    async def main() -> None:
        async with Node(host=HOST, policy=BTLS, keep_identity=False) as node:
            swarm = node.join(Membership.basic(INFOHASH))
            assert await node.dial(swarm, Address(HOST, free_port())) is None
            assert node.own_peer_ids == {node.peer_id} and not swarm.remotes

    asyncio.run(main())


def test_a_peer_that_hangs_up_on_the_hello_leaves_nothing() -> None:
    async def main() -> None:
        async with Node(host=HOST, policy=BTLS, keep_identity=False) as node:
            hellos: list[bytes] = []

            async def take_the_hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                identity = node.wires._identity
                assert isinstance(identity, ServerIdentity)
                engine = accept(identity.context)
                while not hellos:
                    engine.feed(await reader.read(65536))
                    if engine.handshake():
                        hellos.extend(engine.records())
                    writer.write(engine.drain())
                assert len(node.wires._own_ekms) == 1
                writer.transport.abort()

            server = await asyncio.start_server(take_the_hello, HOST, 0)
            async with server:
                swarm = node.join(Membership.basic(INFOHASH))
                remote = await node.dial(swarm, Address(HOST, server.sockets[0].getsockname()[1]))
                assert remote is not None and remote.link is not None
                async with asyncio.timeout(5):
                    await remote.link.gone
            assert len(hellos) == 1 and not node.wires._own_ekms
            assert node.own_peer_ids == {node.peer_id} and not swarm.remotes

    asyncio.run(main())


def test_a_burst_of_addresses_is_not_dialled_beyond_the_room_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main() -> None:
        async with Node(host=HOST, policy=BTLS, keep_identity=False) as node:
            swarm = node.join(Membership.basic(INFOHASH))
            begun: list[Address] = []

            async def dial(swarm: Swarm, address: Address) -> Any:
                begun.append(address)
                swarm.remotes.add(address)  # type: ignore[arg-type]
                return address

            monkeypatch.setattr(node, "dial", dial)
            monkeypatch.setattr(swarm, "remotes", _Room())
            for number in range(10):
                swarm.add_peers(
                    [Address("127.0.0.2", 1 + 20 * number + at) for at in range(20)], hearsay=True
                )
            await asyncio.sleep(0.05)
            assert len(begun) == MAX_PEERS
            swarm.remotes.clear()

    asyncio.run(main())


class _Room(set[Any]):
    """Remotes of which only the number counts."""

    def __iter__(self) -> Iterator[Any]:
        return iter(())
