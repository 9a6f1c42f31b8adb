"""One host can't take all the places of a torrent, whether it calls or is called."""

from __future__ import annotations

import asyncio

import pytest

from btresearch.peer.address import Address
from btresearch.session.membership import Membership
from btresearch.session.node import Node
from btresearch.session.policy import Policy
from btresearch.session.remote import Remote
from btresearch.session.swarm import MAX_PEERS, MAX_PEERS_PER_HOST, Swarm
from btresearch.transport import Clear
from tests.session.swarming import HOST

IH = bytes(range(20))
ASKED = MAX_PEERS_PER_HOST + 4


def _node() -> Node:
    return Node(host=HOST, policy=Policy(("clear",)))


def _calls(swarm: Swarm, host: str) -> bool:
    connection = swarm.connection(initiator=False)
    return swarm.adopt(swarm.node.link(Clear()), connection, Address(host, 6881)) is not None


# the hosts of as many calls, how many get in
CALLERS = [
    (["192.0.2.1"] * ASKED, MAX_PEERS_PER_HOST),
    ([f"192.0.2.{number}" for number in range(ASKED)], ASKED),
    ([f"2001:db8::{number:x}" for number in range(1, ASKED + 1)], MAX_PEERS_PER_HOST),
    ([f"2001:db8:{number:x}::1" for number in range(ASKED)], ASKED),
    (["127.0.0.1"] * ASKED, ASKED),
    (["::1"] * ASKED, ASKED),
    ([f"192.0.2.{number}" for number in range(MAX_PEERS + 1)], MAX_PEERS),
]


@pytest.mark.parametrize(
    ("hosts", "admitted"),
    CALLERS,
    ids=["one host", "several", "one /56", "several /56", "loopback", "loopback IPv6", "all"],
)
def test_callers(hosts: list[str], admitted: int) -> None:
    async def main() -> int:
        async with _node() as node:
            swarm = node.join(Membership.basic(IH))
            return sum(_calls(swarm, host) for host in hosts)

    assert asyncio.run(main()) == admitted


def test_a_place_that_is_left_is_free_again() -> None:
    async def main() -> None:
        async with _node() as node:
            swarm = node.join(Membership.basic(IH))
            assert [_calls(swarm, "192.0.2.1") for _ in range(ASKED)].count(True) == MAX_PEERS_PER_HOST
            swarm.lost(next(iter(swarm.remotes)), "gone")
            assert [_calls(swarm, "192.0.2.1") for _ in range(2)] == [True, False]

    asyncio.run(main())


def test_a_tracker_that_names_one_host_often_does_not_make_us_flood_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dialled: list[Address] = []

    async def dial(node: Node, swarm: Swarm, address: Address) -> Remote:
        dialled.append(address)
        remote = Remote(swarm, swarm.connection(initiator=True), address)
        swarm.remotes.add(remote)
        return remote

    monkeypatch.setattr(Node, "dial", dial)

    async def main() -> None:
        async with _node() as node:
            swarm = node.join(Membership.basic(IH))
            swarm.add_peers([Address("192.0.2.1", port) for port in range(1, ASKED + 1)])
            swarm.add_peers([Address("192.0.2.2", 1)])
            await asyncio.sleep(0.05)

    asyncio.run(main())
    assert [address.host for address in dialled] == ["192.0.2.1"] * MAX_PEERS_PER_HOST + ["192.0.2.2"]
