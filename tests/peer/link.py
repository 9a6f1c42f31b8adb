"""Two ends over an in-memory link that copies its bytes, so that no shared buffer hides a fault."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from btresearch.peer import Event, PeerConnection

INFOHASH = bytes(range(20))


def pair(**options: object) -> tuple[PeerConnection, PeerConnection]:
    """An initiator and a responder of the same torrent, nothing said yet."""
    left = PeerConnection(initiator=True, peer_id=b"L" * 20, infohash=INFOHASH, **options)  # type: ignore[arg-type]
    right = PeerConnection(initiator=False, peer_id=b"R" * 20, infohash=INFOHASH, **options)  # type: ignore[arg-type]
    return left, right


def deliver(source: PeerConnection, sink: PeerConnection, *, rng: Random | None = None) -> list[Event]:
    """Everything that `source` has queued, to `sink`, cut by `rng` at random."""
    stream = b"".join(source.data_to_send())
    return [event for chunk in chunks(stream, rng) for event in sink.receive(chunk)]


def chunks(stream: bytes, rng: Random | None) -> Iterator[bytes]:
    """Copies of the parts of `stream`; the whole without an rng."""
    while stream:
        cut = len(stream) if rng is None else rng.randrange(1, len(stream) + 1)
        yield bytes(bytearray(stream[:cut]))
        stream = stream[cut:]


def established(**options: object) -> tuple[PeerConnection, PeerConnection]:
    """A pair whose handshakes have passed."""
    left, right = pair(**options)
    left.handshake()
    deliver(left, right)
    right.handshake()
    deliver(right, left)
    return left, right
