"""Does a flow show an infohash in clear: in the server name, or anywhere in the payload that is kept?

Three kinds of evidence: places where a protocol puts an infohash (no knowledge needed); known infohashes in every
form that clients and trackers use, v2 ones whole (32 bytes) and cut to 20; and a binder of TLS 1.3 that a known
infohash made (`binder`). Beyond the stream heads, known infohashes are looked for in the later packets as far as
the table keeps them. All are the project's own rules.
"""

from __future__ import annotations

import re
from base64 import b32encode
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

import numpy as np
import numpy.typing as npt
import pandas as pd

from btresearch.detect.binder import crack
from btresearch.detect.cells import blob, blobs, text
from btresearch.detect.contract import Verdict, abstain, answers, bittorrent, other

Bools = npt.NDArray[np.bool_]

INFOHASH_BYTES = 20
SNI = "sni"
HEADS = ("stream_head_c2s", "stream_head_s2c")
PACKETS, HELLO = "pkt_payload", "client_hello"
PROTOCOL = b"\x13BitTorrent protocol"
GAP = b"\0\xff\0"  # between packets, so that nothing is found across them


class Place(NamedTuple):
    """Where to look, what to call it, the pattern whose first group is the infohash, and bytes it must hold."""

    where: str
    name: str
    pattern: re.Pattern[bytes]
    literal: bytes


PLACES = (
    # libtorrent manual, "SSL torrents": the server name is the infohash in hex
    Place(SNI, "server name of 40 hex digits", re.compile(rb"^([0-9A-Fa-f]{40})$"), b""),
    Place(SNI, "server name of 64 hex digits", re.compile(rb"^([0-9A-Fa-f]{64})$"), b""),
    # BEP 3, peer protocol; not only in front, for uTP has a header of its own (BEP 29)
    Place("stream", "peer handshake", re.compile(PROTOCOL + rb".{8}(.{20})", re.DOTALL), PROTOCOL),
    # BEP 3, tracker request; an infohash byte is literal or %XX
    Place(
        "stream",
        "tracker request",
        re.compile(rb"[?&]info_hash=((?:%[0-9A-Fa-f]{2}|[^%& ]){20})[& ]"),
        b"info_hash=",
    ),
    # BEP 5, get_peers and announce_peer
    Place("stream", "DHT query", re.compile(rb"9:info_hash20:(.{20})", re.DOTALL), b"9:info_hash20:"),
    # BEP 9, magnet URI; BEP 52, its multihash of a v2 infohash
    Place(
        "stream",
        "magnet link",
        re.compile(rb"urn:btih:([0-9A-Fa-f]{40}|[A-Za-z2-7]{32})(?![0-9A-Za-z])"),
        b"urn:btih:",
    ),
    Place(
        "stream",
        "magnet link (v2)",
        re.compile(rb"urn:btmh:1220([0-9A-Fa-f]{64})(?![0-9A-Za-z])"),
        b"urn:btmh:",
    ),
)


# Every place in a stream holds one of these words. Looking for them four bytes at a time over many flows at once is
# an order faster than searching each stream for whole literals.
WORDS = np.frombuffer(b"Torr_hasurn:", "<u4")
WORD_BYTES = 4
CHUNK_HEADS = 64


def promising(heads: list[bytes]) -> Bools:
    """Which heads hold one of WORDS; the others have no place."""
    found = np.zeros(len(heads), dtype=bool)
    for at in range(0, len(heads), CHUNK_HEADS):
        chunk = heads[at : at + CHUNK_HEADS]
        ends = np.cumsum([len(head) for head in chunk])
        data = np.frombuffer(b"".join(chunk) + bytes(2 * WORD_BYTES), np.uint8)
        for shift in range(WORD_BYTES):
            whole = (len(data) - shift) // WORD_BYTES * WORD_BYTES
            words = data[shift : shift + whole].view("<u4")
            hits = np.flatnonzero((words == WORDS[0]) | (words == WORDS[1]) | (words == WORDS[2]))
            found[at + np.searchsorted(ends, hits * WORD_BYTES + shift, side="right")] = True
    return found


@dataclass(frozen=True)
class Haystack:
    """One flow's text in the three readings that the forms need."""

    raw: bytes

    @cached_property
    def lower(self) -> bytes:
        """In lower case, for forms whose case is free."""
        return self.raw.lower()

    @cached_property
    def unquoted(self) -> bytes:
        """With %XX undone."""
        return unquote_to_bytes(self.raw) if b"%" in self.raw else b""


class Forms(NamedTuple):
    """A known infohash, and what it looks like in each reading of a haystack: (form, written)."""

    infohash: bytes
    raw: tuple[tuple[str, bytes], ...]
    lower: tuple[tuple[str, bytes], ...]

    @classmethod
    def of(cls, infohash: bytes) -> Forms:
        """Forms of the whole infohash, and of a v2 one's first 20 bytes; both byte orders."""
        raw: list[tuple[str, bytes]] = []
        lower: list[tuple[str, bytes]] = []
        for cut in dict.fromkeys((len(infohash), INFOHASH_BYTES)):
            needle = infohash[:cut]
            note = " of 20 bytes" if cut < len(infohash) else ""
            raw += [(f"raw{note}", needle), (f"reversed raw{note}", needle[::-1])]
            lower += [
                (f"hex{note}", needle.hex().encode()),
                (f"base32{note}", b32encode(needle).lower().rstrip(b"=")),
                (f"reversed hex{note}", needle[::-1].hex().encode()),
            ]
        return cls(infohash, tuple(raw), tuple(lower))

    def found_in(self, hay: Haystack) -> str:
        """The form in which the infohash stands in the haystack; empty when it does not."""
        readings = (
            (hay.raw, self.raw, ""),
            (hay.lower, self.lower, ""),
            (hay.unquoted, self.raw, "percent-encoded"),
        )
        return next(
            (
                _called(form, quoted)
                for text_, forms, quoted in readings
                for form, way in forms
                if way in text_
            ),
            "",
        )


def _called(form: str, quoted: str) -> str:
    return form.replace("raw", quoted) if quoted else form


@dataclass(frozen=True, kw_only=True)
class InfohashScan:
    """Scan for infohashes; `infohashes` are known ones (20 or 32 bytes), empty for the places alone."""

    infohashes: frozenset[bytes] = frozenset()
    name: str = "infohash_scan"
    version: str = "2"
    cites: tuple[str, ...] = (
        "libtorrent manual, SSL torrents (server name indication)",
        "BEP 3, BEP 5, BEP 9, BEP 52 (where an infohash stands in clear)",
        "RFC 8446, section 4.2.11.2 (PSK binder)",
    )
    question: int = 1
    sees: tuple[str, ...] = (SNI, *HEADS, PACKETS, HELLO)
    needs: str = (
        "the server name is where SSL torrents show their infohash, the hello where a PSK variant does"
    )
    trained: bool = False

    def __call__(self, flows: pd.DataFrame) -> pd.DataFrame:
        """BitTorrent with the place and form, other, or abstain on a flow without any payload."""
        known = [Forms.of(infohash) for infohash in sorted(self.infohashes)]
        look = np.logical_or(*(promising([blob(cell) for cell in flows[name]]) for name in HEADS))
        verdicts = [
            _verdict(known, *row) for row in zip(look, *(flows[name] for name in self.sees), strict=True)
        ]
        return answers(flows.index, verdicts)


NO_PAYLOAD = abstain("no payload")
NONE_FOUND = other("no infohash in the server name or the stream heads")


def _verdict(
    known: list[Forms],
    look: bool,
    sni: object,
    c2s: object,
    s2c: object,
    packets: object,
    hello: object,
) -> Verdict:
    name, heads = text(sni).encode(), (blob(c2s), blob(s2c))
    if not any((name, *heads)):
        return NO_PAYLOAD
    finding = next(places(name, heads if look else ()), "")
    if not finding and known:
        finding = next(matches(known, (name, *heads, GAP.join(blobs(packets))), blob(hello)), "")
    return bittorrent(finding) if finding else NONE_FOUND


def places(sni: bytes, heads: tuple[bytes, ...]) -> Iterator[str]:
    """Where protocols put an infohash."""
    for where, place, pattern, literal in PLACES:
        for part in (sni,) if where == SNI else heads:
            if literal in part and (match := pattern.search(part)):  # a plain search is the faster half
                yield f"{place} at byte {match.start(1)}"


def matches(known: list[Forms], parts: tuple[bytes, ...], hello: bytes) -> Iterator[str]:
    """Known infohashes in the parts, whose names are SNI, HEADS and PACKETS, then in the hello's binder."""
    for label, part in zip((SNI, *HEADS, PACKETS), parts, strict=True):
        hay = Haystack(part)
        for forms in known:
            if form := forms.found_in(hay):
                yield f"known infohash {forms.infohash.hex()[:8]}... {form} in {label}"
    if hit := crack(hello, (forms.infohash for forms in known)):
        yield f"known infohash {hit.infohash.hex()[:8]}... made the PSK binder of the hello ({hit.variant})"


DETECTOR = InfohashScan()
