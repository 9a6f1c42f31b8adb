"""Serving one peer: its requests in order, from the cache, as fast as the socket and the limit allow."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from btresearch.session.link import Link

if TYPE_CHECKING:
    from btresearch.session.remote import Remote

BATCH_BLOCKS = 16  # handed to the transport at a time: 256 KiB
PREFETCH_BLOCKS = 256


class Serving:
    """The serving half of a `Remote`."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    def go(self, link: Link) -> bool:
        """Answer requests while the socket takes it; True when nothing is held back here.

        Raises StorageError.
        """
        requests = self._remote.connection.peer_requests
        while requests and link.writable and not link.closing:
            if self._throttled():
                return True
            if not self._batch(link):
                return False
        return not requests

    def _batch(self, link: Link) -> bool:
        """Some blocks; False if the disk has to be waited for."""
        connection, content = self._remote.connection, self._remote.swarm.content
        if content is None:
            return False
        sent = 0
        for block in list(islice(connection.peer_requests, BATCH_BLOCKS)):
            data = content.uploads.block(block)
            if data is None:
                break
            connection.piece(block.index, block.begin, data)
            sent += block.length
        self._prefetch()
        if sent:
            self._count(sent)
            self._remote.speak(link)
        return sent > 0

    def _prefetch(self) -> None:
        content = self._remote.swarm.content
        if content is not None:
            for block in islice(self._remote.connection.peer_requests, 0, PREFETCH_BLOCKS, BATCH_BLOCKS):
                if not content.uploads.prefetch(block):
                    return

    def _count(self, length: int) -> None:
        remote = self._remote
        now_ns = remote.swarm.node.now_ns()
        remote.up.total_bytes += length
        remote.spoke(now_ns)
        remote.swarm.count_upload(length, now_ns)

    def _throttled(self) -> bool:
        node = self._remote.swarm.node
        wait_s = node.upload_limit.wait_s(node.now_ns())
        if wait_s > 0:
            self._remote.touch(after_s=wait_s)
        return wait_s > 0
