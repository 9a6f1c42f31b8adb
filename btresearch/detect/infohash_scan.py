"""Does a flow show an infohash in clear: in the server name, or at the head of either stream?

Two kinds of evidence: places where a protocol puts an infohash (no knowledge needed), and known
infohashes in every form that clients and trackers use. Both are the project's own rules.
"""

from __future__ import annotations

import re
from base64 import b32encode
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

import pandas as pd

from btresearch.detect.cells import blob, rows, text
from btresearch.detect.contract import Verdict, abstain, answers, bittorrent, other

INFOHASH_BYTES = 20
SNI = "sni"
HEADS = ("stream_head_c2s", "stream_head_s2c")

# Where to look, what to call it, and the pattern whose first group is the infohash.
PLACES: tuple[tuple[str, str, re.Pattern[bytes]], ...] = (
    # libtorrent manual, "SSL torrents": the server name is the infohash in hex
    (SNI, "server name of 40 hex digits", re.compile(rb"^([0-9A-Fa-f]{40})$")),
    # BEP 3, peer protocol
    ("stream", "peer handshake", re.compile(rb"^\x13BitTorrent protocol.{8}(.{20})", re.DOTALL)),
    # BEP 3, tracker request; an infohash byte is literal or %XX
    ("stream", "tracker request", re.compile(rb"[?&]info_hash=((?:%[0-9A-Fa-f]{2}|[^%& ]){20})[& ]")),
    # BEP 5, get_peers and announce_peer
    ("stream", "DHT query", re.compile(rb"9:info_hash20:(.{20})", re.DOTALL)),
    # BEP 9, magnet URI
    ("stream", "magnet link", re.compile(rb"urn:btih:([0-9A-Fa-f]{40}|[A-Za-z2-7]{32})(?![0-9A-Za-z])")),
)


@dataclass(frozen=True)
class Haystack:
    """One flow's text in the four readings that the forms need."""

    raw: bytes
    lower: bytes
    unquoted: bytes

    @classmethod
    def of(cls, raw: bytes) -> Haystack:
        """Readings of `raw`: as it is, in lower case, and with %XX undone."""
        return cls(raw, raw.lower(), unquote_to_bytes(raw) if b"%" in raw else b"")


def found_form(needle: bytes, hay: Haystack) -> str:
    """The form in which `needle` stands in the haystack; empty when it does not."""
    forms = (
        ("raw", needle, hay.raw),
        ("hex", needle.hex().encode(), hay.lower),
        ("base32", b32encode(needle).lower().rstrip(b"="), hay.lower),
        ("percent-encoded", needle, hay.unquoted),
        ("reversed raw", needle[::-1], hay.raw),
        ("reversed hex", needle[::-1].hex().encode(), hay.lower),
    )
    return next((form for form, wanted, text_ in forms if wanted in text_), "")


@dataclass(frozen=True, kw_only=True)
class InfohashScan:
    """Scan for infohashes; `infohashes` are known ones (20 or 32 bytes), empty for the places alone."""

    infohashes: frozenset[bytes] = frozenset()
    name: str = "infohash_scan"
    version: str = "1"
    cites: tuple[str, ...] = (
        "libtorrent manual, SSL torrents (server name indication)",
        "BEP 3, BEP 5, BEP 9 (where an infohash stands in clear)",
    )
    question: int = 1
    sees: tuple[str, ...] = (SNI, *HEADS)
    needs: str = "the server name is where SSL torrents show their infohash"
    trained: bool = False

    def __call__(self, flows: pd.DataFrame) -> pd.DataFrame:
        """BitTorrent with the place and form, other, or abstain on a flow without any payload."""
        return answers(flows.index, [self._verdict(*row) for row in rows(flows, self.sees)])

    def _verdict(self, sni: object, c2s: object, s2c: object) -> Verdict:
        name, heads = text(sni).encode(), (blob(c2s), blob(s2c))
        if not any((name, *heads)):
            return abstain("no payload")
        finding = next(self._findings(name, heads), "")
        return bittorrent(finding) if finding else other("no infohash in the server name or the stream heads")

    def _findings(self, sni: bytes, heads: tuple[bytes, ...]) -> Iterator[str]:
        for where, place, pattern in PLACES:
            for part in (sni,) if where == SNI else heads:
                if match := pattern.search(part):
                    yield f"{place} at byte {match.start(1)}"
        for label, part in zip(self.sees, (sni, *heads), strict=True):
            hay = Haystack.of(part)
            for needle in sorted(self.infohashes):
                if form := found_form(needle[:INFOHASH_BYTES], hay):
                    yield f"known infohash {needle.hex()[:8]}... {form} in {label}"


DETECTOR = InfohashScan()
