"""The two calls: `seed` a torrent, `get` a torrent. Both run inside any event loop and clean up when cancelled."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from btresearch.peer.address import Address
from btresearch.peer.magnet import Magnet
from btresearch.peer.pieces import PieceSet
from btresearch.peer.torrent import Torrent
from btresearch.session import resume, ssl_port
from btresearch.session.announcer import Announcer
from btresearch.session.check import check
from btresearch.session.decoy_site import DecoySite
from btresearch.session.disk import Disk
from btresearch.session.errors import StorageError
from btresearch.session.link import Tap
from btresearch.session.membership import Access, Membership
from btresearch.session.node import Node
from btresearch.session.policy import DEFAULT_TRANSPORTS, Policy
from btresearch.session.rates import NS_PER_S
from btresearch.session.storage import Storage
from btresearch.session.swarm import Swarm
from btresearch.transport.ssl_torrent import PeerCertificate

RESUME_INTERVAL_S = 5.0
REPORT_S = 0.2

Phase = Literal["checking", "metadata", "downloading", "seeding"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class GetResult:
    """What `get` did. `seconds` is from the call to the last verified piece; `transfer_s` from the first block."""

    torrent: Torrent
    path: Path
    downloaded_bytes: int
    resumed_bytes: int
    seconds: float
    transfer_s: float


@dataclass(frozen=True, slots=True)
class SeedResult:
    """What `seed` did until it was stopped."""

    torrent: Torrent
    uploaded_bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a transfer is; rates in bytes/s; `port` is 0 until it is listened on."""

    phase: Phase
    port: int = 0
    pieces: int = 0
    piece_count: int = 0
    done_bytes: int = 0
    total_bytes: int = 0
    peers: int = 0
    down_bytes_per_s: float = 0.0
    up_bytes_per_s: float = 0.0
    uploaded_bytes: int = 0


Report = Callable[[Progress], None]
NOTHING = Access()


async def seed(
    torrent: Torrent,
    path: str | Path,
    *,
    host: str = "",
    port: int = 0,
    transports: Sequence[str] = DEFAULT_TRANSPORTS,
    shape: str = "rechunk",
    tls: str | None = None,
    access: Access = NOTHING,
    peers: Sequence[tuple[str, int]] = (),
    upload_bytes_per_s: int | None = None,
    verify: bool = True,
    stop: asyncio.Event | None = None,
    report: Report = lambda progress: None,
    tap: Tap | None = None,
    keep_identity: bool = True,
    ssl_certificate: PeerCertificate | None = None,
    ssl_listen_port: int = 0,
    decoy: str | None = None,
) -> SeedResult:
    """Serve `torrent` from `path` until `stop` is set (or for ever; cancelling ends it in order too).

    `path` is the content or the folder that holds it; it is hashed first unless `verify` is False.
    `transports` are accepted; the first is dialled with, towards `peers` and the trackers' peers. `report`
    is called a few times a second. `keep_identity`: the TLS certificate is that of earlier runs on this address.
    `ssl_certificate` is for SSL torrents, which are listened for on `ssl_listen_port` alone (0 = any free one).

    `decoy` (http://HOST:PORT or https://HOST:PORT) is the web server that strangers are shown in place of the
    built-in one.

    `tls` (`require`, `prefer`, `allow`, `never`) overrides what the order of `transports` says of TLS; a torrent
    above level Basic requires it, and `access` holds what else its membership takes.

    Raises:
        StorageError: the content is missing, or not all of it is right.
        InputError: an unknown transport or shape, or one that the torrent's level rules out; no access.
    """
    began_ns = Node.now_ns()
    async with access.to(torrent) as membership:
        policy = _policy(
            torrent, membership, ssl_port.check(torrent, transports, ssl_certificate), shape, tls
        )
        storage = Storage.find(torrent, Path(path))
        try:
            have = (
                await _checked_whole(torrent, storage, report)
                if verify
                else PieceSet.full(torrent.piece_count)
            )
            async with Node(
                host=host,
                port=port,
                policy=policy,
                upload_bytes_per_s=upload_bytes_per_s,
                tap=tap,
                keep_identity=keep_identity,
                ssl_certificate=ssl_certificate,
                ssl_listen_port=ssl_listen_port,
                decoy=_site(decoy),
            ) as node:
                swarm = node.join(membership, torrent)
                with Disk(storage, on_error=swarm.fail) as disk:
                    swarm.open(torrent, disk, have)
                    swarm.add_peers([Address.of(*peer) for peer in peers], patient=True)
                    async with Announcer(node, swarm, torrent.announce, accounts=access.accounts):
                        await _watch(swarm, (stop or asyncio.Event()).wait(), "seeding", report)
                    return SeedResult(torrent, swarm.up.total_bytes, (Node.now_ns() - began_ns) / NS_PER_S)
        finally:
            storage.close()


async def get(
    source: Torrent | Magnet,
    folder: str | Path,
    *,
    host: str = "",
    port: int = 0,
    transports: Sequence[str] = DEFAULT_TRANSPORTS,
    shape: str = "rechunk",
    tls: str | None = None,
    access: Access = NOTHING,
    peers: Sequence[tuple[str, int]] = (),
    upload_bytes_per_s: int | None = None,
    report: Report = lambda progress: None,
    tap: Tap | None = None,
    keep_identity: bool = True,
    ssl_certificate: PeerCertificate | None = None,
    ssl_listen_port: int = 0,
    decoy: str | None = None,
    stay: Callable[[], Awaitable[object]] | None = None,
) -> GetResult:
    """Download a torrent, or what a magnet link names, into `folder`; return when every piece is verified.

    What an earlier run left there is used. Cancelling saves resume data and raises CancelledError.
    With `stay`, it is served from then on until what that returns is done. `tls`, `access`, `keep_identity`,
    `ssl_certificate` and `ssl_listen_port` are as for `seed`.

    Raises:
        StorageError: the folder can't be used, or the disk is full.
        InputError: an unknown transport or shape, or one that the torrent's level rules out; no access; metadata
            that is not what the magnet link promised.
    """
    began_ns = Node.now_ns()
    torrent = source if isinstance(source, Torrent) else None
    known = [*peers, *(source.peers if isinstance(source, Magnet) else ())]
    tiers = source.announce if isinstance(source, Torrent) else [[url] for url in source.trackers]
    async with access.to(source) as membership:
        policy = _policy(source, membership, ssl_port.check(source, transports, ssl_certificate), shape, tls)
        async with Node(
            host=host,
            port=port,
            policy=policy,
            upload_bytes_per_s=upload_bytes_per_s,
            tap=tap,
            keep_identity=keep_identity,
            ssl_certificate=ssl_certificate,
            ssl_listen_port=ssl_listen_port,
            decoy=_site(decoy),
        ) as node:
            swarm = node.join(membership, torrent)
            swarm.add_peers([Address.of(*peer) for peer in known], patient=True)
            async with Announcer(node, swarm, tiers, accounts=access.accounts):
                await _watch(swarm, asyncio.shield(swarm.metadata), "metadata", report)
                torrent = swarm.metadata.result()
                resumed = await _fill(swarm, torrent, Path(folder), report, stay)
    return _result(swarm, torrent, Path(folder), resumed, began_ns)


def _result(swarm: Swarm, torrent: Torrent, folder: Path, resumed: int, began_ns: int) -> GetResult:
    done_ns = swarm.completed_ns
    return GetResult(
        torrent=torrent,
        path=folder / torrent.name,
        downloaded_bytes=swarm.down.total_bytes,
        resumed_bytes=resumed,
        seconds=(done_ns - began_ns) / NS_PER_S,
        transfer_s=(done_ns - swarm.first_block_ns) / NS_PER_S if swarm.first_block_ns else 0.0,
    )


def _policy(
    source: Torrent | Magnet, membership: Membership, transports: Sequence[str], shape: str, tls: str | None
) -> Policy:
    wish = isinstance(source, Torrent) and source.requires_tls
    return Policy.choose(transports, shape, tls).of(membership, requires_tls=wish)


async def _fill(
    swarm: Swarm, torrent: Torrent, folder: Path, report: Report, stay: Callable[[], Awaitable[object]] | None
) -> int:
    """Download what is missing, and serve until `stay` says so; how many bytes were there already."""
    storage = Storage.create(torrent, folder)
    try:
        have = resume.load(storage, torrent.infohash)
        if have is None:
            have = await check(torrent, storage, progress=_checking(report))
        resumed = sum(torrent.layout.piece_bytes(index) for index in have)
        with Disk(storage, on_error=swarm.fail) as disk:
            swarm.open(torrent, disk, have)
            await _keep_resume(
                swarm, disk, _watch(swarm, asyncio.shield(swarm.completed), "downloading", report)
            )
            if stay is not None:
                await _watch(swarm, stay(), "seeding", report)
        return resumed
    finally:
        storage.close()


async def _keep_resume(swarm: Swarm, disk: Disk, work: Coroutine[None, None, None]) -> None:
    """Save resume data now and then while `work` runs, and at its end; remove it when all is there."""
    keeper = asyncio.create_task(_save_often(swarm, disk))
    try:
        await work
    finally:
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)
        await disk.drain()
        content = swarm.content
        if content is not None and content.complete:
            resume.remove(disk.storage, content.torrent.infohash)
        elif content is not None:
            with contextlib.suppress(StorageError):
                resume.save(disk.storage, content.torrent.infohash, content.have)


async def _save_often(swarm: Swarm, disk: Disk) -> None:
    saved = -1
    while True:
        await asyncio.sleep(RESUME_INTERVAL_S)
        content = swarm.content
        if content is not None and content.have.count != saved:
            saved, have = content.have.count, content.have.copy()
            disk.call(partial(resume.save, disk.storage, content.torrent.infohash, have))


async def _watch(swarm: Swarm, done: Awaitable[object], phase: Phase, report: Report) -> None:
    """Report until `done` is, or the swarm has failed."""
    waiter: asyncio.Future[object] = asyncio.ensure_future(done)
    failure: asyncio.Future[object] = asyncio.ensure_future(asyncio.shield(swarm.failed))
    try:
        while not waiter.done() and not failure.done():
            report(_progress(swarm, phase))
            await asyncio.wait([waiter, failure], timeout=REPORT_S, return_when=asyncio.FIRST_COMPLETED)
        for future in (failure, waiter):
            if future.done():
                future.result()
        report(_progress(swarm, phase))
    finally:
        waiter.cancel()
        failure.cancel()


async def _checked_whole(torrent: Torrent, storage: Storage, report: Report) -> PieceSet:
    have = await check(torrent, storage, progress=_checking(report))
    if not have.complete:
        wrong = have.piece_count - have.count
        raise StorageError(f"{storage.root}: {wrong} of {have.piece_count} pieces are wrong or missing")
    return have


def _site(url: str | None) -> DecoySite | None:
    return None if url is None else DecoySite.parse(url)


def _checking(report: Report) -> Callable[[int, int], None]:
    return lambda done, total: report(Progress("checking", pieces=done, piece_count=total))


def _progress(swarm: Swarm, phase: Phase) -> Progress:
    content, torrent = swarm.content, swarm.torrent
    total = 0 if torrent is None else torrent.total_bytes
    return Progress(
        phase=phase,
        port=swarm.node.port_of(swarm.infohash),
        pieces=0 if content is None else content.have.count,
        piece_count=0 if torrent is None else torrent.piece_count,
        done_bytes=0 if content is None else total - content.left_bytes,
        total_bytes=total,
        peers=sum(remote.connection.established for remote in swarm.remotes),
        down_bytes_per_s=swarm.down.bytes_per_s,
        up_bytes_per_s=swarm.up.bytes_per_s,
        uploaded_bytes=swarm.up.total_bytes,
    )
