"""Whom to upload to: tit-for-tat with one optimistic unchoke, BEP 3."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from btresearch.peer.rng import Rng

CHOKE_INTERVAL_NS = 10_000_000_000
"""BEP 3: who is unchoked changes every ten seconds, lest choking and unchoking fibrillate."""
OPTIMISTIC_INTERVAL_NS = 30_000_000_000
REGULAR_SLOTS = 4


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is known of one peer; rates in bytes/s as seen from here."""

    peer: Hashable
    interested: bool
    download_rate: float
    upload_rate: float
    snubbed: bool = False


class Choker:
    """Call `decide` every CHOKE_INTERVAL_NS, and when a peer comes, goes or changes its interest."""

    def __init__(self, *, rng: Rng, slots: int = REGULAR_SLOTS) -> None:
        self._rng, self._slots = rng, slots
        self._optimistic: Hashable | None = None
        self._rotated_ns: int | None = None

    def decide(self, now_ns: int, candidates: Sequence[Candidate], *, seeding: bool) -> frozenset[Hashable]:
        """The peers to be unchoked; everyone else is choked.

        A leech serves those who give most (a snubbed peer gives nothing), a seed those who take most.
        """
        interested = [candidate for candidate in candidates if candidate.interested]
        eligible = interested if seeding else [peer for peer in interested if not peer.snubbed]
        ranked = sorted(eligible, key=_taken if seeding else _given, reverse=True)
        regular = [candidate.peer for candidate in ranked[: self._slots]]
        rest = [candidate.peer for candidate in interested if candidate.peer not in regular]
        self._rotate(now_ns, rest)
        return frozenset(regular if self._optimistic is None else [*regular, self._optimistic])

    def _rotate(self, now_ns: int, rest: list[Hashable]) -> None:
        """Draw a new optimistic unchoke when its 30 s are over or it left (or earned) its place."""
        due = self._rotated_ns is None or now_ns - self._rotated_ns >= OPTIMISTIC_INTERVAL_NS
        if self._optimistic in rest and not due:
            return
        fresh = [peer for peer in rest if peer != self._optimistic] or rest
        self._optimistic = fresh[self._rng.randrange(len(fresh))] if fresh else None
        self._rotated_ns = now_ns


def _given(candidate: Candidate) -> float:
    return candidate.download_rate


def _taken(candidate: Candidate) -> float:
    return candidate.upload_rate
