"""Two peers that dial each other keep one connection, over TLS as in clear text, and both keep the same."""

from __future__ import annotations

import asyncio

import pytest

from btresearch.peer.address import Address
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
