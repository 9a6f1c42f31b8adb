"""Traffic shapes: how the outgoing stream is cut into TLS writes. Local to the sender, never negotiated."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

from btresearch.transport.protocol import Bytes

MAX_RECORD_BYTES = 16384
"""Plaintext of the largest TLS record (RFC 8446 section 5.1)."""


class Shape(Protocol):
    """Application bytes in, TLS writes out; a write longer than a record is whole records and a rest."""

    def push(self, app: Bytes) -> Sequence[Bytes]:
        """Take application bytes; return the writes that are due now."""
        ...

    def flush(self) -> Sequence[Bytes]:
        """Return what was held back."""
        ...


class Unshaped:
    """`none`: each send is its own write, so that a `piece` of 16,397 bytes shows as records 16384 + 13."""

    def push(self, app: Bytes) -> Sequence[Bytes]:
        """Pass the bytes on as they came."""
        return (app,) if app else ()

    def flush(self) -> Sequence[Bytes]:
        """Nothing is held back."""
        return ()


class Rechunk:
    """`rechunk`: coalesce, cut at exactly 16,384 bytes, hold the rest until `flush`.

    No record mirrors a BitTorrent message then. The bulk of a large send is not copied here.
    """

    def __init__(self) -> None:
        self._held = bytearray()

    def push(self, app: Bytes) -> Sequence[Bytes]:
        """Return whole records' worth."""
        if not self._held and len(app) % MAX_RECORD_BYTES == 0:
            return (app,) if app else ()
        rest, writes = memoryview(app), []
        if self._held:
            missing = MAX_RECORD_BYTES - len(self._held)
            self._held += rest[:missing]
            rest = rest[missing:]
            if len(self._held) < MAX_RECORD_BYTES:
                return ()
            writes.append(self._take())
        bulk = len(rest) - len(rest) % MAX_RECORD_BYTES
        if bulk:
            writes.append(rest[:bulk])
        self._held += rest[bulk:]
        return writes

    def flush(self) -> Sequence[Bytes]:
        """Return the rest, shorter than a record."""
        return (self._take(),) if self._held else ()

    def _take(self) -> Bytes:
        held, self._held = self._held, bytearray()
        return held


SHAPES: Mapping[str, Callable[[], Shape]] = MappingProxyType({"none": Unshaped, "rechunk": Rechunk})
"""name -> a new shape for one direction of one connection."""
