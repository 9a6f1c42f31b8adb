"""Magnet links, BEP 9: the infohash and where to begin."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Magnet:
    """xt (infohash, 20 bytes), dn, tr, x.pe as (host, port), xl in bytes, x.tls kept as it came."""

    infohash: bytes
    name: str | None = None
    trackers: tuple[str, ...] = ()
    peers: tuple[tuple[str, int], ...] = ()
    length_bytes: int | None = None
    tls: str | None = None

    @classmethod
    def parse(cls, uri: str) -> Magnet:
        """Raises InputError."""

    def format(self) -> str: ...
