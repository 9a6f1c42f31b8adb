"""Two peers that dial each other keep one connection, over TLS as in clear text, and both keep the same."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from btresearch.peer.address import Address
from btresearch.peer.extension import ExtensionHandshake
from btresearch.session import twins
from btresearch.session.membership import Membership
from btresearch.session.node import Node
from btresearch.session.policy import Policy
from tests.session.swarming import HOST


@pytest.mark.parametrize("transport", ["clear", "btls_basic"])
def test_one_connection_stays(transport: str) -> None:
    async def main() -> None:
        policy, membership = Policy((transport,)), Membership.basic(bytes(20))
        async with (
            Node(host=HOST, policy=policy, keep_identity=False) as one,
            Node(host=HOST, policy=policy, keep_identity=False) as two,
        ):
            ours, theirs = one.join(membership), two.join(membership)
            ours.add_peers([Address(HOST, two.port)], patient=True)
            theirs.add_peers([Address(HOST, one.port)], patient=True)
            await asyncio.sleep(0.8)  # longer than the first pause before a new dial
            counts = [len(swarm.remotes) for swarm in (ours, theirs)]
            assert counts == [1, 1]
            (here,), (there,) = ours.remotes, theirs.remotes
            assert here.connection.established and there.connection.established
            assert here.connection.initiator != there.connection.initiator

    asyncio.run(main())


def test_a_peer_that_reconnects_elsewhere_is_no_twin() -> None:
    async def main() -> None:
        membership = Membership.basic(bytes(20))
        policy = Policy(("btls_basic",))
        async with (
            Node(host=HOST, policy=policy, keep_identity=False) as middle,
            Node(host=HOST, policy=policy, keep_identity=False) as one,
            Node(host=HOST, policy=policy, keep_identity=False) as two,
        ):
            swarm = middle.join(membership)
            for node in (one, two):
                node.join(membership).add_peers([Address(HOST, middle.port)])
            async with asyncio.timeout(5):
                while sum(remote.connection.established for remote in swarm.remotes) < 2:
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            assert {remote.listens_at for remote in swarm.remotes} == {
                Address(HOST, one.port),
                Address(HOST, two.port),
            }

    asyncio.run(main())


def test_two_behind_one_translator_that_name_the_same_port_both_stay() -> None:
    """Every client of a kind has the same port, and a translator gives them one address: two that came in."""

    def came(peer_id: bytes, *, initiator: bool = False, port: int = 6881) -> Any:
        ends = SimpleNamespace(peer_id=peer_id)
        connection = SimpleNamespace(initiator=initiator, established=True, remote=ends, peer_id=bytes(20))
        return SimpleNamespace(listens_at=Address("192.0.2.1", port), connection=connection)

    one, two, dialled = came(b"1" * 20), came(b"2" * 20), came(b"3" * 20, initiator=True)
    assert twins.loser(one, [one, two]) is None
    assert twins.loser(one, [one, two, dialled]) is one  # of zeros and ones, ours has the lower peer_id
    assert twins.loser(one, [came(b"4" * 20, initiator=True, port=6882)]) is None


def test_a_peer_names_its_port_once() -> None:
    async def main() -> None:
        membership, policy = Membership.basic(bytes(20)), Policy(("clear", "btls_basic"))
        async with (
            Node(host=HOST, policy=policy, keep_identity=False) as one,
            Node(host=HOST, policy=policy, keep_identity=False) as two,
        ):
            swarm = one.join(membership)
            two.join(membership).add_peers([Address(HOST, one.port)])
            async with asyncio.timeout(5):
                while not any(remote.listens_at for remote in swarm.remotes):
                    await asyncio.sleep(0.01)
            (remote,) = swarm.remotes
            for port in (1, 2, 3):
                remote._on_extension_handshake(ExtensionHandshake({}, fields={b"p": port, b"tls": 1}))
            assert remote.listens_at == Address(HOST, two.port)
            known = [port for port in (1, 2, 3, two.port) if one.tls_memory.knows(Address(HOST, port))]
            assert known == [two.port]

    asyncio.run(main())
