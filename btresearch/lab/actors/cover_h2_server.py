"""A small HTTP/2 server over TLS (hyper-h2) that serves objects; it keeps to the peer's flow control."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import h2
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived, StreamEnded, StreamReset, WindowUpdated
from h2.exceptions import ProtocolError

from btresearch.lab.actors import asyncmain, objects, report


class Connection(asyncio.Protocol):
    """One client: queued objects per stream, sent as far as the windows allow, the streams taking turns."""

    def __init__(self) -> None:
        self._h2 = H2Connection(H2Configuration(client_side=False))
        self._queued: dict[int, memoryview] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        report.flow("tcp", transport.get_extra_info("peername")[:2])
        self._h2.initiate_connection()
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Take requests and window updates."""
        try:
            events = self._h2.receive_data(data)
        except ProtocolError:
            self._flush()
            self._transport.close()
            return
        for event in events:
            if isinstance(event, RequestReceived):
                self._queue(event)
            elif isinstance(event, StreamReset):
                self._queued.pop(event.stream_id or 0, None)
        if any(isinstance(event, (RequestReceived, WindowUpdated, StreamEnded)) for event in events):
            self._send()
        self._flush()

    def _queue(self, event: RequestReceived) -> None:
        path = dict(event.headers or [])[b":path"]
        stream, content = event.stream_id or 0, objects.body(int(path.rpartition(b"/")[2]))
        kind = "text/html" if not self._queued else "application/octet-stream"
        headers = [(":status", "200"), ("content-type", kind), ("content-length", str(len(content)))]
        self._h2.send_headers(stream, headers)
        self._queued[stream] = memoryview(content)

    def _send(self) -> None:
        progress = True
        while progress:
            sent = [self._send_frame(stream) for stream in list(self._queued)]  # a frame each, in turns
            progress = any(sent)

    def _send_frame(self, stream: int) -> bool:
        left = self._queued[stream]
        size = min(self._h2.local_flow_control_window(stream), self._h2.max_outbound_frame_size, len(left))
        if size <= 0 and left:
            return False
        self._h2.send_data(stream, bytes(left[:size]), end_stream=size == len(left))
        self._queued[stream] = left[size:]
        if size == len(left):
            del self._queued[stream]
        return True

    def _flush(self) -> None:
        self._transport.write(self._h2.data_to_send())


@asynccontextmanager
async def listening(task: dict[str, Any]) -> AsyncIterator[None]:
    """Listen for the length of the block."""
    tls = asyncmain.server_tls(task, ("h2",))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, task["address"], task["port"], ssl=tls)
    yield
    server.close()


if __name__ == "__main__":
    asyncmain.serve(listening(report.task()), program="hyper-h2", version=h2.__version__)
