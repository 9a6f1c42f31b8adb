"""Keeps one swarm announced to its trackers: started, now and then, completed, stopped."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

import aiohttp

from btresearch.peer import AnnounceRequest, AnnounceResponse
from btresearch.peer.announce import AnnounceEvent
from btresearch.session.accounts import Accounts
from btresearch.session.errors import TrackerError
from btresearch.session.swarm import Swarm
from btresearch.session.tracker_client import Trackers, Ways, pause_s, unambiguous

if TYPE_CHECKING:
    from btresearch.session.node import Node

STOPPED_S = 3.0  # a tracker that is down must not keep a program from ending

log = logging.getLogger(__name__)


class Announcer:
    """An async context manager; does nothing for a torrent without trackers.

    `accounts`: what HTTPS trackers that serve members alone are told; each only what is its own.
    """

    def __init__(
        self, node: Node, swarm: Swarm, tiers: Sequence[Sequence[str]], *, accounts: Accounts | None = None
    ) -> None:
        self._node, self._swarm, self._accounts = node, swarm, accounts
        tls = swarm.membership.tls
        asked = unambiguous(tiers, () if tls is None else tls.trackers)
        self._trackers = Trackers(asked, rng=node.rng, ways=self._ways)
        self._run_task: asyncio.Task[None] | None = None
        self._completion: asyncio.Task[None] | None = None
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        if self._trackers:
            self._http = aiohttp.ClientSession(headers={"User-Agent": self._node.client_name})
            self._run_task = asyncio.create_task(self._run())
            self._completion = asyncio.create_task(self._tell_completion())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._http is not None:
            with contextlib.suppress(TrackerError, TimeoutError):
                async with asyncio.timeout(STOPPED_S):
                    await self._finish()
            await self._cancel()
            await self._http.close()

    async def _finish(self) -> None:
        """The last words: that it is complete, if it just became so, and goodbye."""
        if self._run_task is not None:
            self._run_task.cancel()
        completed = self._swarm.completed
        if self._completion is not None and completed.done() and not completed.cancelled():
            await self._completion
        await self._announce("stopped")

    async def _cancel(self) -> None:
        tasks = [task for task in (self._run_task, self._completion) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self) -> None:
        event: AnnounceEvent = "started"
        failures = 0
        while True:
            answer: AnnounceResponse | None = None
            try:
                answer = await self._announce(event)
                event, failures = "", 0
                self._swarm.external_host = answer.external_ip or self._swarm.external_host
                self._swarm.add_peers(answer.peers)
            except TrackerError as error:
                failures += 1
                log.warning("tracker: %s", error)
            await asyncio.sleep(pause_s(answer, failures))

    async def _tell_completion(self) -> None:
        if self._swarm.content is not None and self._swarm.content.complete:
            return
        with contextlib.suppress(TrackerError):
            await asyncio.shield(self._swarm.completed)
            await self._announce("completed")

    async def _announce(self, event: AnnounceEvent) -> AnnounceResponse:
        if self._http is None:
            raise TrackerError("no tracker")
        return await self._trackers.announce(self._http, lambda url: self._requests(url, event))

    def _requests(self, url: str, event: AnnounceEvent) -> list[AnnounceRequest]:
        """One for every name under which the tracker at `url` knows the torrent."""
        swarm, member = self._swarm, self._swarm.membership.member()
        return [
            AnnounceRequest(
                infohash=announce_id,
                peer_id=self._node.peer_id,
                port=self._node.port_of(swarm.infohash),
                uploaded=swarm.up.total_bytes,
                downloaded=swarm.down.total_bytes,
                left=self._left_bytes(),
                event=event,
                supports_tls=swarm.policy.accepts("tls"),
                requires_tls=swarm.policy.tls == "require",
                tls_pin=None if member is None else member.credential.spki_sha256,
            )
            for announce_id in swarm.membership.announce_ids(url)
        ]

    def _left_bytes(self) -> int:
        content, torrent = self._swarm.content, self._swarm.torrent
        if content is not None:
            return content.left_bytes
        # Before the metadata is known, "something is left" is all there is to say.
        return 1 if torrent is None else torrent.total_bytes

    def _ways(self, url: str) -> Ways:
        above_basic = self._swarm.membership.level != "basic"
        account = None if self._accounts is None else self._accounts.get(url)
        return Ways(same_origin=above_basic, account=account)
