"""Whom to connect to, and when again: addresses with their failures, a back-off, a cap on dials at once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from btresearch.peer.address import Address
from btresearch.peer.known import KnownPeer
from btresearch.session.rates import NS_PER_S

MAX_KNOWN = 2000
MAX_PINS = 8192
MAX_DIALLING = 20
MAX_FAILURES = 6
FIRST_BACKOFF_NS, MAX_BACKOFF_NS = NS_PER_S // 2, 60 * NS_PER_S


@dataclass(slots=True)
class _Entry:
    patient: bool  # named by the user: never given up
    failures: int = 0
    due_ns: int = 0
    busy: bool = False


class Dialer:
    """Pure bookkeeping; the swarm does the dialling."""

    def __init__(self) -> None:
        self._known: dict[Address, _Entry] = {}
        # Apart from the entries: whoever makes dials fail until an address is given up must not be rid of its pin.
        self._pins: OrderedDict[Address, bytes] = OrderedDict()

    def add(self, peers: Iterable[KnownPeer], *, patient: bool = False) -> None:
        """Learn peers; those known already keep their history, and the pin that was heard of last."""
        for peer in peers:
            entry = self._known.get(peer.address)
            if entry is None and len(self._known) < MAX_KNOWN:
                entry = self._known[peer.address] = _Entry(patient)
            if entry is not None:
                entry.patient |= patient
            if peer.pin is not None:
                self._pin(peer.address, peer.pin)

    def pin(self, address: Address) -> bytes | None:
        """SHA-256 of the SPKI that must answer there (level Full)."""
        return self._pins.get(address)

    def _pin(self, address: Address, pin: bytes) -> None:
        self._pins[address] = pin
        self._pins.move_to_end(address)
        while len(self._pins) > MAX_PINS:
            self._pins.popitem(last=False)

    def due(self, now_ns: int, room: int) -> list[Address]:
        """Up to `room` addresses to dial now; each is busy until `ended`."""
        room = max(0, min(room, MAX_DIALLING))
        ready = [a for a, entry in self._known.items() if not entry.busy and entry.due_ns <= now_ns]
        ready.sort(key=lambda address: self._known[address].failures)
        for address in ready[:room]:
            self._known[address].busy = True
        return ready[:room]

    def failures(self, address: Address) -> int:
        """How often in a row it failed."""
        entry = self._known.get(address)
        return 0 if entry is None else entry.failures

    def ended(self, address: Address, now_ns: int, *, was_useful: bool) -> int:
        """A dial failed, or its connection is over: the pause until the next, doubling; 0 for never again."""
        entry = self._known.get(address)
        if entry is None:
            return 0
        entry.busy = False
        entry.failures = 1 if was_useful else entry.failures + 1
        if entry.failures > MAX_FAILURES and not entry.patient:
            del self._known[address]
            return 0
        pause_ns = min(FIRST_BACKOFF_NS << min(entry.failures - 1, 10), MAX_BACKOFF_NS)
        entry.due_ns = now_ns + pause_ns
        return pause_ns

    def postpone(self, address: Address, now_ns: int) -> None:
        """There is a connection already, which the peer made: see again later."""
        entry = self._known.get(address)
        if entry is not None:
            entry.busy, entry.due_ns = False, now_ns + MAX_BACKOFF_NS

    def discard(self, address: Address) -> None:
        """Never again: it is this very endpoint."""
        self._known.pop(address, None)

    def forget(self, host: str) -> None:
        """Banned: every address of that host goes."""
        for address in [address for address in self._known if address.host == host]:
            del self._known[address]
