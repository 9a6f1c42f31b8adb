"""Joins IP fragments into datagrams, in bounded memory (RFC 791 section 3.2, RFC 8200 section 4.5)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

MAX_DATAGRAMS = 256  # that are being joined at a time
MAX_FRAGMENTS = 1024  # of one datagram; 65,535 bytes in Ethernet frames are 45
TIMEOUT_NS = 30_000_000_000  # RFC 791 and RFC 8200 allow 15 to 60 s

Key = tuple[bytes, bytes, int, int]
"""Source, destination, identification, protocol."""


class Fragment(NamedTuple):
    """A fragment: whose it is, its first byte's place in the datagram's payload, whether others follow."""

    key: Key
    offset: int
    more: bool
    data: bytes


@dataclass(slots=True)
class _Partial:
    since_ns: int
    parts: dict[int, bytes] = field(default_factory=dict)
    size_bytes: int = -1  # known once the last fragment came

    def joined(self) -> bytes | None:
        if self.size_bytes < 0:
            return None
        data = b""
        while len(data) < self.size_bytes:
            part = self.parts.get(len(data))
            if not part:
                return None
            data += part
        return data if len(data) == self.size_bytes else None


class Fragments:
    """Datagrams that wait for fragments; `lost` counts those that were given up."""

    def __init__(self) -> None:
        self._waiting: dict[Key, _Partial] = {}
        self.lost = 0

    def add(self, fragment: Fragment, t_ns: int) -> bytes | None:
        """Take a fragment; return its datagram's payload once all of it is here.

        The first fragment at an offset wins. Fragments that overlap otherwise never join (RFC 5722).
        """
        key = fragment.key
        partial = self._waiting.get(key)
        if partial is None or abs(t_ns - partial.since_ns) > TIMEOUT_NS:
            partial = self._start(key, t_ns)
        partial.parts.setdefault(fragment.offset, fragment.data)
        if not fragment.more:
            partial.size_bytes = fragment.offset + len(fragment.data)
        data = partial.joined()
        if data is not None:
            del self._waiting[key]
        elif len(partial.parts) > MAX_FRAGMENTS:
            del self._waiting[key]
            self.lost += 1
        return data

    def _start(self, key: Key, t_ns: int) -> _Partial:
        if self._waiting.pop(key, None):
            self.lost += 1
        if len(self._waiting) >= MAX_DATAGRAMS:
            del self._waiting[next(iter(self._waiting))]
            self.lost += 1
        partial = self._waiting[key] = _Partial(t_ns)
        return partial

    def finish(self) -> int:
        """Give up what still waits; return how many datagrams were lost in all."""
        self.lost += len(self._waiting)
        self._waiting.clear()
        return self.lost
