"""Whoever breaks connections gains nothing: no injected failure lowers what is spoken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from btresearch.peer.address import Address
from btresearch.peer.known import KnownPeer
from btresearch.session.membership import Membership
from btresearch.session.node import Node
from btresearch.session.policy import DEFAULT_TRANSPORTS, Policy
from btresearch.session.swarm import Swarm
from tests.session.levels import SECRET, Club, club
from tests.session.proxy import middle, no_tls
from tests.session.swarming import HOST, seeding

TLS_RECORD = b"\x16\x03"
WAIT_S = 1.2  # time for three dials, with their pauses


def _nobody(first: bytes) -> bool:
    return False


async def _dials(
    seed: Club, policy: Policy, passes: Callable[[bytes], bool], *, tls: bool, resets: bool = True
) -> tuple[list[bytes], Swarm]:
    """The first bytes of each connection that a leech makes to a seed behind the middle."""
    async with (
        seeding(seed.content, access=seed.access()) as end,
        middle(end.port, passes, resets=resets) as seen,
        seed.access().to(seed.content.torrent) as membership,
        Node(host=HOST, policy=policy, keep_identity=False) as node,
    ):
        swarm = node.join(membership)
        swarm.add_peers([KnownPeer(Address(HOST, seen.port), tls=tls)], patient=True)
        await asyncio.sleep(WAIT_S)
        return list(seen.firsts), swarm


@pytest.mark.slow
@pytest.mark.parametrize("resets", [True, False])
@pytest.mark.parametrize("level", ["strict", "full"])
def test_above_basic_nothing_but_tls_is_dialled_however_often_it_breaks(
    tmp_path: Path, level: str, resets: bool
) -> None:
    torrents = club(tmp_path / "in", level)  # type: ignore[arg-type]
    firsts, swarm = asyncio.run(_dials(torrents, Policy(), no_tls, tls=False, resets=resets))
    assert firsts and all(first.startswith(TLS_RECORD) for first in firsts)
    assert not resets or len(firsts) >= 2
    assert swarm.torrent is None


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["require", "prefer", "allow"])
def test_where_tls_is_indicated_it_stays_whatever_the_middle_does(tmp_path: Path, policy: str) -> None:
    torrents = club(tmp_path / "in", "basic")
    own = Policy.choose(DEFAULT_TRANSPORTS, "rechunk", policy)
    firsts, swarm = asyncio.run(_dials(torrents, own, no_tls, tls=True))
    assert len(firsts) >= 2 and all(first.startswith(TLS_RECORD) for first in firsts)
    assert swarm.torrent is None


@pytest.mark.slow
@pytest.mark.parametrize(("policy", "falls_back"), [("require", False), ("prefer", True)])
def test_without_an_indication_only_prefer_tries_something_else(
    tmp_path: Path, policy: str, falls_back: bool
) -> None:
    torrents = club(tmp_path / "in", "basic")
    own = Policy.choose(("btls_basic", "clear"), "rechunk", policy)
    firsts, swarm = asyncio.run(_dials(torrents, own, no_tls, tls=False))
    assert firsts[0].startswith(TLS_RECORD)
    assert any(not first.startswith(TLS_RECORD) for first in firsts) is falls_back
    assert (swarm.torrent is not None) is falls_back


@pytest.mark.slow
def test_what_is_learnt_inside_a_connection_is_an_indication(tmp_path: Path) -> None:
    """A peer that was met in clear text says `tls` (BEP 10): from then on, clear text is history."""

    async def main() -> None:
        torrents = club(tmp_path / "in", "basic")
        infohash = torrents.content.torrent.infohash
        async with Node(host=HOST, keep_identity=False) as met, Node(host=HOST, keep_identity=False) as own:
            met.join(Membership.basic(infohash), torrents.content.torrent)
            swarm = own.join(Membership.basic(infohash), policy=Policy(("clear", "btls_basic")))
            address = Address(HOST, met.port)
            async with middle(met.port) as seen:
                far = Address(HOST, seen.port)
                swarm.add_peers([far], patient=True)
                async with asyncio.timeout(5):
                    while not own.tls_memory.knows(far):
                        await asyncio.sleep(0.01)
                for remote in list(swarm.remotes):
                    swarm.drop(remote, "test", fault=False)
                async with asyncio.timeout(5):
                    while len(seen.firsts) < 2:
                        await asyncio.sleep(0.01)
            assert [first[:1] for first in seen.firsts[:2]] == [b"\x13", b"\x16"]
            assert not own.tls_memory.knows(address)

    asyncio.run(main())


@pytest.mark.slow
def test_a_flag_setting_and_level_stripping_middle_with_the_secret_gains_no_lower_level(
    tmp_path: Path,
) -> None:
    """It knows the torrent and its secret, and answers as Basic, clear and MSE peer of the same infohash."""

    async def main() -> None:
        torrents = club(tmp_path / "in", "strict")
        torrent = torrents.content.torrent
        secret = Membership.of(torrent, secret=SECRET)
        async with Node(host=HOST, keep_identity=False) as liar, Node(host=HOST, keep_identity=False) as own:
            liar.join(Membership.basic(torrent.infohash))  # clear, MSE and Basic, all on one port
            swarm = own.join(secret, torrent)
            told = KnownPeer(Address(HOST, liar.port), tls=False, requires_tls=False)
            async with middle(liar.port, lambda first: True) as seen:
                swarm.add_peers([told, KnownPeer(Address(HOST, seen.port))], patient=True)
                await asyncio.sleep(WAIT_S)
            assert seen.firsts and all(first.startswith(TLS_RECORD) for first in seen.firsts)
            assert not any(remote.connection.remote for remote in swarm.remotes)

    asyncio.run(main())
