"""Whom to upload to: tit-for-tat with one optimistic unchoke (BEP 3)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Candidate:
    """What the choker knows of one peer; rates in bytes/s as seen from here."""

    peer: Hashable
    interested: bool
    download_rate: float  # what it gives us
    upload_rate: float  # what it takes from us
    snubbed: bool = False


class Choker:
    """Call `decide` every CHOKE_INTERVAL_NS (10 s) and when interest or membership changes."""

    def __init__(self, *, rng: object, slots: int = 4) -> None: ...

    def decide(self, now_ns: int, candidates: Sequence[Candidate], *, seeding: bool) -> frozenset[Hashable]:
        """The peers to be unchoked; everyone else is choked."""
