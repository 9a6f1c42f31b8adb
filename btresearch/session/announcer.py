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
from btresearch.session.errors import TrackerError
from btresearch.session.swarm import Swarm
from btresearch.session.tracker_client import Trackers, pause_s

if TYPE_CHECKING:
    from btresearch.session.node import Node

STOPPED_S = 3.0  # a tracker that is down must not keep a program from ending

log = logging.getLogger(__name__)


class Announcer:
    """An async context manager; does nothing for a torrent without trackers."""

    def __init__(self, node: Node, swarm: Swarm, tiers: Sequence[Sequence[str]]) -> None:
        self._node, self._swarm = node, swarm
        self._trackers = Trackers(tiers, rng=node.rng)
        self._tasks: list[asyncio.Task[None]] = []
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        if self._trackers:
            self._http = aiohttp.ClientSession(headers={"User-Agent": self._node.client_name})
            self._tasks = [asyncio.create_task(self._run()), asyncio.create_task(self._tell_completion())]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._http is not None:
            with contextlib.suppress(TrackerError, TimeoutError):
                async with asyncio.timeout(STOPPED_S):
                    await self._announce("stopped")
            await self._http.close()

    async def _run(self) -> None:
        event: AnnounceEvent = "started"
        failures = 0
        while True:
            answer: AnnounceResponse | None = None
            try:
                answer = await self._announce(event)
                event, failures = "", 0
                self._swarm.add_peers(peer.address for peer in answer.peers)
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
        content = self._swarm.content
        # Before the metadata is known, "something is left" is all there is to say.
        left = 1 if content is None else content.left_bytes
        return await self._trackers.announce(
            self._http,
            AnnounceRequest(
                infohash=self._swarm.infohash,
                peer_id=self._node.peer_id,
                port=self._node.port_of(self._swarm.infohash),
                uploaded=self._swarm.up.total_bytes,
                downloaded=self._swarm.down.total_bytes,
                left=left,
                event=event,
            ),
        )
