"""An in-memory wire between two transports; it copies every byte, so shared buffers can't hide a bug."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from btresearch.transport import Entropy, Transport

Chunking = Callable[[bytes], Iterator[bytes]]


def whole(data: bytes) -> Iterator[bytes]:
    yield data


def bytewise(data: bytes) -> Iterator[bytes]:
    for byte in data:
        yield bytes([byte])


def randomly(data: bytes) -> Iterator[bytes]:
    rng = random.Random(len(data))
    while data:
        count = rng.randint(1, max(1, len(data) // 2))
        yield data[:count]
        data = data[count:]


CHUNKINGS: dict[str, Chunking] = {"whole": whole, "bytewise": bytewise, "random": randomly}


def seeded(seed: int) -> Entropy:
    return random.Random(seed).randbytes


class Link:
    """Two transports, what each application received, and every byte that was on the wire."""

    def __init__(self, initiator: Transport, responder: Transport, chunking: Chunking = whole) -> None:
        self.ends = (initiator, responder)
        self.apps = (bytearray(), bytearray())
        self.wires = (bytearray(), bytearray())
        self.chunking = chunking

    def start(self) -> Link:
        self._carry(0, self.ends[0].start())
        self.settle()
        return self

    def send(self, end: int, app: bytes) -> None:
        self._carry(end, self.ends[end].send(app))
        self.settle()

    def settle(self) -> None:
        """Flush both ends until neither has anything left to say."""
        while any(self._carry(end, self.ends[end].flush()) for end in (0, 1)):
            pass

    def _carry(self, sender: int, wire: bytes) -> bool:
        moved = False
        while wire:
            moved = True
            self.wires[sender].extend(wire)
            receiver, replies = 1 - sender, bytearray()
            for chunk in self.chunking(bytes(wire)):
                app, reply = self.ends[receiver].receive(chunk)
                self.apps[receiver].extend(app)
                replies += reply
            sender, wire = receiver, bytes(replies)
        return moved
