"""Members of every level get everything; everyone else gets nothing, over anything."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from btresearch.errors import InputError
from btresearch.peer import Magnet, Torrent, bencode
from btresearch.peer.address import Address
from btresearch.peer.handshake import Handshake
from btresearch.peer.secret import commit_of
from btresearch.peer.tls_info import TlsInfo, decode_link, encode_link
from btresearch.session import Access
from btresearch.session.membership import Membership
from btresearch.session.node import Node
from btresearch.session.policy import Policy
from btresearch.transport.btls import TorrentKey
from btresearch.transport.dispatch import classify
from tests.session.levels import (
    LEVELS,
    SECRET,
    Club,
    Level,
    authority,
    club,
    stranger_secret,
)
from tests.session.swarming import HOST, fetch, seeding, single

ABOVE: tuple[Level, ...] = ("strict", "full")
PEERS, SEEDS = 10, 3


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("by_magnet", [False, True])
def test_a_member_gets_everything(tmp_path: Path, level: Level, by_magnet: bool) -> None:
    async def main() -> None:
        torrents = club(tmp_path / "in", level)
        source: Torrent | Magnet = torrents.content.torrent
        async with seeding(torrents.content, access=torrents.access()) as end:
            if by_magnet:
                source = _magnet(torrents)
            access = torrents.access(secret=None) if by_magnet and level != "basic" else torrents.access()
            result = await fetch(source, tmp_path / "out", end.port, access=access)
        assert torrents.content.same_in(tmp_path / "out")
        assert result.torrent.tls_info == torrents.content.torrent.tls_info

    asyncio.run(main())


def _magnet(torrents: Club) -> Magnet:
    torrent = torrents.content.torrent
    tls = None if torrent.tls_info is None else encode_link(torrent.tls_info, SECRET)
    return Magnet(infohash=torrent.infohash, tls=tls)


def _as_wrong_secret(torrents: Club) -> Membership:
    """Somebody who has the torrent file, and guesses."""
    right = Membership.of(torrents.content.torrent, secret=SECRET)
    key = replace(right.keys[0], SK=stranger_secret())
    return replace(right, keys=(key,), member=lambda: torrents.member(3600))


def _as_basic(torrents: Club) -> Membership:
    return Membership.basic(torrents.content.torrent.infohash)


def _as_ex_member(torrents: Club) -> Membership:
    right = Membership.of(torrents.content.torrent, secret=SECRET)
    return replace(right, member=lambda: torrents.member(-1))


def _as_certified_by_another(torrents: Club) -> Membership:
    right = Membership.of(torrents.content.torrent, secret=SECRET)
    return replace(right, member=lambda: torrents.member(3600, authority(7)))


def _as_without_certificate(torrents: Club) -> Membership:
    return Membership.of(torrents.content.torrent, secret=SECRET)


STRANGERS: list[tuple[Level, Callable[[Club], Membership]]] = [
    ("strict", _as_wrong_secret),
    ("strict", _as_basic),
    ("full", _as_wrong_secret),
    ("full", _as_basic),
    ("full", _as_ex_member),
    ("full", _as_certified_by_another),
    ("full", _as_without_certificate),
]


@pytest.mark.parametrize(("level", "stranger"), STRANGERS)
@pytest.mark.parametrize("dials", [True, False])
def test_who_is_no_member_gets_nothing(
    tmp_path: Path, level: Level, stranger: Callable[[Club], Membership], dials: bool
) -> None:
    """Neither when it dials the seed nor when the seed dials it: no BitTorrent handshake, no block."""

    async def main() -> None:
        torrents = club(tmp_path / "in", level)
        async with Node(host=HOST, policy=Policy(("btls_basic",)), keep_identity=False) as other:
            swarm = other.join(stranger(torrents))
            peers = [] if dials else [(HOST, other.port)]
            async with seeding(torrents.content, access=torrents.access(), peers=peers) as end:
                if dials:
                    swarm.add_peers([Address(HOST, end.port)], patient=True)
                await asyncio.sleep(0.4)
                assert not any(remote.connection.remote for remote in swarm.remotes)
                assert all(progress.peers == 0 for progress in end.progress)
            assert end.result.result().uploaded_bytes == 0

    asyncio.run(main())


@pytest.mark.parametrize("level", ABOVE)
@pytest.mark.parametrize("transport", ["clear", "mse_rc4", "mse_plain"])
def test_clear_and_mse_are_answered_as_for_an_unknown_torrent(
    tmp_path: Path, level: Level, transport: str
) -> None:
    """On a port of its own, and on one that also serves a Basic torrent to clear text and MSE."""

    async def main() -> None:
        torrents, public = club(tmp_path / "in", level), club(tmp_path / "public", "basic", 100_000)
        async with (
            torrents.access().to(torrents.content.torrent) as membership,
            Node(host=HOST, keep_identity=False) as node,
        ):
            hidden = node.join(membership, torrents.content.torrent)
            assert node.requires_tls
            node.join(Membership.of(public.content.torrent), public.content.torrent)
            assert not node.requires_tls
            answers = [await _asked(node.port, infohash, transport) for infohash in _names(membership)]
            unknown = await _asked(node.port, bytes(20), transport)
            known = await _asked(node.port, public.content.torrent.infohash, transport)
            assert not hidden.remotes
        assert answers == [unknown] * len(answers)
        assert known and not unknown

    asyncio.run(main())


def _names(membership: Membership) -> list[bytes]:
    return [*membership.infohashes, *membership.discovery_ids]


async def _asked(port: int, infohash: bytes, transport: str) -> bool:
    """Whether somebody who knows that name over this transport is answered with a handshake."""
    async with Node(host=HOST, policy=Policy((transport,))) as other:
        swarm = other.join(Membership.basic(infohash))
        swarm.add_peers([Address(HOST, port)])
        for _ in range(10):
            await asyncio.sleep(0.02)
            if any(remote.connection.remote for remote in swarm.remotes):
                return True
        return False


@pytest.mark.parametrize("level", ABOVE)
def test_a_clear_handshake_gets_no_byte(tmp_path: Path, level: Level) -> None:
    async def main() -> None:
        torrents, public = club(tmp_path / "in", level), club(tmp_path / "public", "basic", 100_000)
        async with (
            torrents.access().to(torrents.content.torrent) as membership,
            Node(host=HOST, keep_identity=False) as node,
        ):
            node.join(membership, torrents.content.torrent)
            node.join(Membership.of(public.content.torrent), public.content.torrent)
            reader, writer = await asyncio.open_connection(HOST, node.port)
            writer.write(Handshake(torrents.content.torrent.infohash, bytes(20)).encode())
            assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.close()

    asyncio.run(main())


@pytest.mark.parametrize("level", LEVELS)
def test_nothing_but_tls_leaves_or_enters_a_socket_under_require(tmp_path: Path, level: Level) -> None:
    wire: list[tuple[str, bytes]] = []

    async def main() -> None:
        torrents = club(tmp_path / "in", level)
        options: dict[str, Any] = {"tls": "require", "tap": lambda t, way, data: wire.append((way, data))}
        async with seeding(torrents.content, access=torrents.access(), **options) as end:
            await fetch(
                torrents.content.torrent, tmp_path / "out", end.port, access=torrents.access(), **options
            )
        assert torrents.content.same_in(tmp_path / "out")

    asyncio.run(main())
    said = [data for way, data in wire if way == "out"]
    assert sum(map(len, said)) > 300_000
    assert classify(said[0]) == "tls"
    joined = b"".join(data for _, data in wire)
    assert b"BitTorrent" not in joined and b"ut_metadata" not in joined
    # Writes may begin within a record, but the first one of a connection begins one.
    assert all(data[0] in (0x14, 0x15, 0x16, 0x17) for data in said[:4])


@pytest.mark.parametrize("level", LEVELS)
def test_every_byte_that_any_socket_sends_under_require_is_in_a_tls_record(
    tmp_path: Path, level: Level, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen at the sockets themselves, whoever opened them; datagrams are none at all."""
    sent: dict[tuple[object, ...], bytearray] = {}
    send = socket.socket.send

    def noted(self: socket.socket, data: bytes, *flags: int) -> int:
        count = send(self, data, *flags)
        if self.family != socket.AF_UNIX:  # the loop wakes itself through a pair of those
            ends = (self.type, self.getsockname(), self.getpeername())
            sent.setdefault(ends, bytearray()).extend(bytes(data)[:count])
        return count

    def unexpected(*_: object) -> int:
        raise AssertionError("sent past the stream")

    monkeypatch.setattr(socket.socket, "send", noted)
    for name in ("sendto", "sendmsg", "sendall", "sendfile"):
        monkeypatch.setattr(socket.socket, name, unexpected)

    async def main() -> None:
        torrents = club(tmp_path / "in", level, 100_000)
        async with seeding(torrents.content, access=torrents.access(), tls="require") as end:
            torrent = torrents.content.torrent
            await fetch(torrent, tmp_path / "out", end.port, access=torrents.access(), tls="require")
        assert torrents.content.same_in(tmp_path / "out")

    asyncio.run(main())
    assert {ends[0] for ends in sent} == {socket.SOCK_STREAM}
    assert sum(map(len, sent.values())) > 100_000 and len(sent) >= 2
    for stream in sent.values():
        at = 0
        while at < len(stream):
            assert stream[at] in (20, 21, 22, 23) and stream[at + 1] == 3
            at += 5 + int.from_bytes(stream[at + 3 : at + 5], "big")
        assert at == len(stream)


def test_a_port_is_a_web_server_only_while_every_torrent_requires_tls(tmp_path: Path) -> None:
    async def main() -> None:
        async with Node(host=HOST, keep_identity=False) as node:
            assert not node.requires_tls
            first = node.join(
                Membership.basic(bytes(20)), policy=Policy.choose(node.policy.transports, "none", "require")
            )
            assert node.requires_tls and not node.accepts("clear") and not node.accepts("mse")
            second = node.join(Membership.basic(b"2" * 20))
            assert not node.requires_tls and node.accepts("clear")
            node.leave(second)
            await second.stop()
            assert node.requires_tls and set(node.swarms.values()) == {first}
            node.leave(second)  # twice, it takes nothing from the others
            assert node.requires_tls
            with pytest.raises(InputError, match="already"):
                node.join(Membership.basic(bytes(20)))

    asyncio.run(main())


@pytest.mark.parametrize("level", LEVELS)
def test_a_swarm_of_ten_completes(tmp_path: Path, level: Level) -> None:
    """Three seeds, seven leeches, IPv4 and IPv6, one port each for whatever a peer speaks."""

    async def main() -> None:
        torrents = club(tmp_path / "in", level, 1_500_000)
        hosts = {"host": "" if socket.has_dualstack_ipv6() else HOST}
        mixes = [
            ("btls_basic", "mse_rc4", "clear"),
            ("clear", "mse_rc4", "btls_basic"),
            ("mse_rc4", "clear", "btls_basic"),
        ]
        async with contextlib.AsyncExitStack() as stack:
            seeds = [
                await stack.enter_async_context(
                    seeding(torrents.content, access=torrents.access(), transports=mixes[n % 3], **hosts)
                )
                for n in range(SEEDS)
            ]
            leeches = [
                fetch(
                    torrents.content.torrent,
                    tmp_path / str(n),
                    access=torrents.access(),
                    transports=mixes[n % 3],
                    peers=[("::1" if n % 2 and hosts["host"] == "" else HOST, end.port) for end in seeds],
                    patience_s=60,
                    **hosts,
                )
                for n in range(PEERS - SEEDS)
            ]
            await asyncio.gather(*leeches)
        assert all(torrents.content.same_in(tmp_path / str(n)) for n in range(PEERS - SEEDS))

    asyncio.run(main())


@pytest.mark.slow
def test_an_expired_certificate_ends_its_connections_and_a_new_one_is_not_held_up(tmp_path: Path) -> None:
    async def main() -> None:
        torrents = club(tmp_path / "in", "full", 200_000)
        short = torrents.enrol(expires_in_s=3)  # whole seconds: 2 to 3 from now
        async with seeding(
            torrents.content, access=torrents.access(enrol=short), upload_bytes_per_s=1000
        ) as end:
            task = asyncio.create_task(
                fetch(torrents.content.torrent, tmp_path / "out", end.port, access=torrents.access())
            )
            seen = []
            for peers in (1, 0):
                async with asyncio.timeout(10):
                    while not end.progress or end.progress[-1].peers != peers:
                        await asyncio.sleep(0.05)
                seen.append(time.time())
            assert 0 < seen[1] - seen[0] < 5
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())


def test_full_without_a_credential_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    torrents = club(tmp_path / "in", "full")
    with pytest.raises(InputError, match="certificate"):
        asyncio.run(fetch(torrents.content.torrent, tmp_path / "out", 1, access=Access(secret=SECRET)))


# Links and metadata that were tampered with


def _altered(link: str) -> str:
    tls, secret = decode_link(link)
    fields = bencode.decode(tls.encode())
    assert isinstance(fields, dict)
    raw = bencode.encode(fields | {b"extra": 1})  # type: ignore[arg-type]
    return encode_link(TlsInfo.decode(raw, "test"), secret)


@pytest.mark.parametrize("change", ["stripped", "altered", "added"])
def test_a_link_that_differs_from_the_metadata_ends_the_join(tmp_path: Path, change: str) -> None:
    """A middle that could bring the metadata anyway: a seed of the same infohash that speaks what it is asked."""
    strict = club(tmp_path / "in", "basic" if change == "added" else "strict")
    torrent = strict.content.torrent
    if torrent.tls_info is None:
        tls = encode_link(TlsInfo.create("strict", b"c" * 32))
    else:
        tls = _altered(encode_link(torrent.tls_info, SECRET))
    magnet = Magnet(torrent.infohash, tls=None if change == "stripped" else tls)
    secret = None if change != "added" else SECRET

    async def main() -> None:
        membership = _claimed(magnet, secret)
        async with Node(host=HOST, keep_identity=False) as liar:
            liar.join(replace(membership, tls=None), torrent)
            async with Node(host=HOST, keep_identity=False) as victim:
                swarm = victim.join(membership)
                swarm.add_peers([Address(HOST, liar.port)], patient=True)
                with pytest.raises(InputError, match=r"x\.tls"):
                    await asyncio.wait_for(asyncio.shield(swarm.failed), 10)
                assert not swarm.remotes and swarm.torrent is None and not victim.swarms
                assert len(victim.wires._keyring) == 0

    asyncio.run(main())


def _claimed(magnet: Magnet, secret: bytes | None) -> Membership:
    if magnet.tls is None:
        return Membership.of(magnet)
    tls, found = decode_link(magnet.tls)
    return Membership((TorrentKey.derive(magnet.infohash, "strict", secret or found or b""),), tls)


@pytest.mark.parametrize("known", ["both", "v1", "v2"])
@pytest.mark.parametrize("level", ["basic", "strict"])
def test_a_hybrid_is_one_swarm_whichever_infohash_a_peer_knows(
    tmp_path: Path, level: Level, known: str
) -> None:
    async def main() -> None:
        tls = TlsInfo.create("strict", commit_of(SECRET)) if level == "strict" else None
        torrents = Club(single(tmp_path / "in", 200_000, version="hybrid", tls=tls), level)
        torrent = torrents.content.torrent
        assert torrent.infohash_v2 is not None
        link = None if tls is None else encode_link(tls, SECRET)
        v2 = None if known == "v1" else torrent.infohash_v2
        first = torrent.infohash_v2[:20] if known == "v2" else torrent.infohash
        magnet = Magnet(first, tls=link, infohash_v2=v2)
        async with seeding(torrents.content, access=torrents.access(), transports=["btls_basic"]) as end:
            await fetch(magnet, tmp_path / "out", end.port, transports=["btls_basic"])
        assert torrents.content.same_in(tmp_path / "out")

    asyncio.run(main())
