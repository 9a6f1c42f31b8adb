"""A recording relay on loopback, where no packet can be captured: ``python -m btresearch.lab.relay TASK OUT``.

It stands between client and server, passes on what each socket reads, and records it with its time. SIGTERM makes
it write the records to OUT as packets and end.

A flow keeps the client's port number on both sides of the relay (its outgoing socket is bound to the same number on
another loopback address), so that what a server reports of its peer names the flow as the client would.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast

from btresearch.capture.packetise import Conversation, Direction, Record, packetise
from btresearch.capture.writer import write_pcapng

Address = tuple[str, int]
HIGH_WATER_BYTES = 1 << 20


@dataclass(frozen=True)
class Route:
    """The relay listens at `listen` for a server at `server`; the capture shows `client` and `shown`.

    `leave` is the address that outgoing sockets are bound to.
    """

    proto: Literal["tcp", "udp"]
    listen: Address
    server: Address
    leave: str
    client: str
    shown: Address


@dataclass
class Tape:
    """What one flow carried."""

    route: Route
    sport: int
    opened_ns: int
    records: list[Record] = field(default_factory=list)
    closed_ns: int | None = None
    closed_by: Direction = "c2s"

    def carried(self, direction: Direction, data: bytes) -> None:
        """Record what a socket read."""
        self.records.append(Record(time.time_ns(), direction, data))

    def closed(self, direction: Direction) -> None:
        """Record the first end of either side."""
        if self.closed_ns is None:
            self.closed_ns, self.closed_by = time.time_ns(), direction

    def conversation(self) -> Conversation:
        """The same, ready for the packetiser; what came after the first close is before it in the packets."""
        last_ns = self.records[-1].t_ns if self.records else self.opened_ns
        closed_ns = None if self.closed_ns is None else max(self.closed_ns, last_ns + 1)
        return Conversation(
            proto=self.route.proto,
            src=self.route.client,
            sport=self.sport,
            dst=self.route.shown[0],
            dport=self.route.shown[1],
            records=self.records,
            opened_ns=self.opened_ns,
            closed_ns=closed_ns if self.route.proto == "tcp" else None,
            closed_by=self.closed_by,
        )


class Side(asyncio.Protocol):
    """One end of a relayed connection: what it reads is recorded and written to the other end."""

    def __init__(self, tape: Tape, direction: Direction) -> None:
        self._tape, self._direction = tape, direction
        self.transport: asyncio.Transport | None = None
        self.other: Side | None = None
        # Before Python 3.11.3 a transport reads in spite of a pause that is asked for in connection_made.
        self._early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the socket."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(HIGH_WATER_BYTES)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        """Record and pass on."""
        self._tape.carried(self._direction, data)
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)
        else:
            self._early.append(data)

    def pause_writing(self) -> None:
        """Stop the other end: this one can't keep up."""
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        """Read at the other end again."""
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()

    def eof_received(self) -> bool:
        """Pass a half-close on and keep the other half open."""
        self._tape.closed(self._direction)
        if (
            self.other is not None
            and self.other.transport is not None
            and not self.other.transport.is_closing()
        ):
            self.other.transport.write_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Close the other end too, once it has sent what it was given."""
        self._tape.closed(self._direction)
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()


class Arriving(Side):
    """The client's end of a TCP connection: dials the server before it reads anything."""

    def __init__(self, route: Route, tapes: list[Tape]) -> None:
        super().__init__(Tape(route, 0, time.time_ns()), "c2s")
        self._route, self._tapes = route, tapes
        self._dial: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hold the client until the server is there."""
        super().connection_made(transport)
        assert self.transport is not None
        self.transport.pause_reading()
        self._tape.sport = transport.get_extra_info("peername")[1]
        self._tapes.append(self._tape)
        self._dial = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        leaving = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        leaving.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        leaving.setblocking(False)
        loop = asyncio.get_running_loop()
        assert self.transport is not None
        try:
            leaving.bind((self._route.leave, self._tape.sport))
            await loop.sock_connect(leaving, self._route.server)
        except OSError as error:
            sys.stderr.write(f"relay: {self._route.server}: {error}\n")
            leaving.close()
            self.transport.abort()
            return
        other = Side(self._tape, "s2c")
        other.other = self
        await loop.create_connection(lambda: other, sock=leaving)
        self.other = other
        assert other.transport is not None
        other.transport.writelines(self._early)
        self.transport.resume_reading()


class Datagrams(asyncio.DatagramProtocol):
    """A UDP route: one outgoing socket per client port."""

    def __init__(self, route: Route, tapes: list[Tape]) -> None:
        self._route, self._tapes = route, tapes
        self._out: dict[int, tuple[Tape, socket.socket]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the listening socket."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """From a client: record, pass on."""
        if addr[1] not in self._out:
            self._out[addr[1]] = self._open(addr)
        tape, out = self._out[addr[1]]
        tape.carried("c2s", data)
        out.send(data)

    def _open(self, client: Address) -> tuple[Tape, socket.socket]:
        out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        out.setblocking(False)
        out.bind((self._route.leave, client[1]))
        out.connect(self._route.server)
        tape = Tape(self._route, client[1], time.time_ns())
        self._tapes.append(tape)
        asyncio.get_running_loop().add_reader(out, self._answer, tape, out, client)
        return tape, out

    def _answer(self, tape: Tape, out: socket.socket, client: Address) -> None:
        try:
            data = out.recv(65_536)
        except OSError:
            return  # the server's port is closed: the client hears nothing, as on the wire after an ICMP error
        tape.carried("s2c", data)
        self._transport.sendto(data, client)


async def relay(routes: Sequence[Route], out: Path, mtu_bytes: int) -> None:
    """Relay until SIGTERM, then write the capture."""
    loop, tapes, stop = asyncio.get_running_loop(), list[Tape](), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    for route in routes:
        await _listen(route, tapes)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await stop.wait()
    write_pcapng(out, packetise([tape.conversation() for tape in tapes], mtu_bytes=mtu_bytes))


async def _listen(route: Route, tapes: list[Tape]) -> None:
    loop = asyncio.get_running_loop()
    if route.proto == "tcp":
        await loop.create_server(lambda: Arriving(route, tapes), *route.listen)
    else:
        await loop.create_datagram_endpoint(lambda: Datagrams(route, tapes), local_addr=route.listen)


def main(task_path: str, out: str) -> None:
    """Read the routes and run."""
    task = json.loads(Path(task_path).read_text(encoding="utf-8"))
    routes = [
        Route(
            one["proto"],
            tuple(one["listen"]),
            tuple(one["server"]),
            one["leave"],
            one["client"],
            tuple(one["shown"]),
        )
        for one in task["routes"]
    ]
    asyncio.run(relay(routes, Path(out), task["mtu_bytes"]))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
