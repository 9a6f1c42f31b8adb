"""Whoever holds the secret: at Strict a full middle that still lowers nothing, at Full nobody."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from btresearch.peer.address import Address
from btresearch.session import link
from btresearch.session.membership import Membership
from btresearch.session.node import Node
from btresearch.session.policy import Policy
from tests.session.insider import dialled, insider
from tests.session.levels import SECRET, Club, club
from tests.session.swarming import HOST, fetch, seeding

BTLS = Policy(("btls_basic",))


def _membership(torrents: Club) -> Membership:
    right = Membership.of(torrents.content.torrent, secret=SECRET)
    return right.joined_by(lambda: torrents.member(3600)) if torrents.level == "full" else right


def test_at_strict_he_reads_everything_sets_flags_and_lowers_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        torrents = club(tmp_path / "in", "strict")
        key = _membership(torrents).dial_key
        async with (
            seeding(torrents.content, access=torrents.access()) as end,
            insider(key, end.port) as middle,
        ):
            torrent = torrents.content.torrent
            await fetch(torrent, tmp_path / "out", middle.port, access=torrents.access())
            assert torrents.content.same_in(tmp_path / "out")
            assert b"BitTorrent protocol" in middle.heard  # as the table of adversaries says
            assert all(first.startswith(b"\x16\x03") for first in middle.firsts)

    asyncio.run(main())


@pytest.mark.slow
def test_at_strict_his_resets_lower_nothing(tmp_path: Path) -> None:
    """First a connection through him that holds, then resets again and again."""

    async def main() -> None:
        torrents = club(tmp_path / "in", "strict", 2_000_000)
        membership = _membership(torrents)
        async with (
            seeding(torrents.content, access=torrents.access(), upload_bytes_per_s=100_000) as end,
            insider(membership.dial_key, end.port) as middle,
            Node(host=HOST, keep_identity=False) as node,
        ):
            swarm = node.join(membership, torrents.content.torrent)
            swarm.add_peers([Address(HOST, middle.port)], patient=True)
            async with asyncio.timeout(10):
                while not any(remote.connection.established for remote in swarm.remotes):
                    await asyncio.sleep(0.02)
                while len(middle.firsts) < 3:
                    for remote in list(swarm.remotes):
                        swarm.drop(remote, "the middle resets", fault=False)
                    await asyncio.sleep(0.05)
            assert all(first.startswith(b"\x16\x03") for first in middle.firsts)
            assert node.requires_tls or not node.accepts("clear")

    asyncio.run(main())


@pytest.mark.parametrize("dials", [True, False])
def test_at_full_he_gets_no_byte_of_bittorrent(tmp_path: Path, dials: bool) -> None:
    """A member dials him, or he dials one: both authenticators are of another connection."""

    async def main() -> None:
        torrents = club(tmp_path / "in", "full")
        membership = _membership(torrents)
        async with (
            seeding(torrents.content, access=torrents.access()) as end,
            insider(membership.dial_key, end.port) as middle,
            Node(host=HOST, policy=BTLS, keep_identity=False) as node,
        ):
            swarm = node.join(membership, torrents.content.torrent)
            if dials:
                swarm.add_peers([Address(HOST, middle.port)], patient=True)
                await asyncio.wait_for(middle.ended.wait(), 5)
                assert len(middle.heard) > 500  # the requests and the first certificate
            else:
                channel = await dialled(end.port, membership.dial_key)
                channel.send(b"\x13BitTorrent protocol" + bytes(48))
                with pytest.raises((ConnectionResetError, AssertionError)):
                    while True:
                        middle.heard += await asyncio.wait_for(channel.hear(), 5)
                        assert not channel.engine.closed
                channel.writer.transport.abort()
            assert b"BitTorrent" not in middle.heard
            assert not any(remote.connection.remote for remote in swarm.remotes)
            assert not end.progress or all(progress.peers == 0 for progress in end.progress)
        assert end.result.result().uploaded_bytes == 0

    asyncio.run(main())


# The time that level Full's exchange may take


def test_the_limit_is_ten_seconds() -> None:
    assert link.EXCHANGE_LIMIT_S == 10.0


def test_a_responder_hangs_up_on_a_prover_who_is_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "EXCHANGE_LIMIT_S", 0.3)

    async def main() -> None:
        torrents = club(tmp_path / "in", "full", 50_000)
        async with seeding(torrents.content, access=torrents.access()) as end:
            channel = await dialled(end.port, _membership(torrents).dial_key)
            await channel.hear()
            began_s = time.monotonic()
            assert await asyncio.wait_for(channel.hear(), 5) == b""  # close_notify, and no word more
            assert 0.2 < time.monotonic() - began_s < 3
            channel.writer.transport.abort()
            await asyncio.sleep(0.01)

    asyncio.run(main())


def test_an_initiator_hangs_up_on_a_responder_who_is_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "EXCHANGE_LIMIT_S", 0.3)

    async def main() -> None:
        torrents = club(tmp_path / "in", "full", 50_000)
        membership = _membership(torrents)
        async with (
            insider(membership.dial_key) as silent,
            Node(host=HOST, policy=BTLS, keep_identity=False) as node,
        ):
            swarm = node.join(membership, torrents.content.torrent)
            swarm.add_peers([Address(HOST, silent.port)])
            began_s = time.monotonic()
            await asyncio.wait_for(silent.ended.wait(), 5)
            assert 0.25 < time.monotonic() - began_s < 4
            assert not silent.heard

    asyncio.run(main())
