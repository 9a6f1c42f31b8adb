"""Piece messages that show through TLS record lengths: the project's own rule.

A `piece` message is 13 bytes of header and, in every client, a block of 16384 bytes (BEP 3), just
over the most that a TLS record carries (RFC 8446, section 5.1). So a writer that passes messages to
TLS as they are leaves one of two marks among its application-data records:

- header first: a 13-byte record, then a full one (libtorrent's SSL torrents: 30 and 16401 bytes);
- message by message, or coalesced: n full records, then a tail of 13 n bytes.

The score is the share of a direction's full records that one of the two explains. Re-chunking
(cutting a coalesced stream into full records) removes the mark only while it has more data to send:
a flush after n whole messages leaves just this tail, and is counted here on purpose.

Look-alikes that stay unexplained: bulk in full records alone, HTTP/2 DATA frames (9 bytes of
header, tail 9 n), HTTP/1.1 chunks of 16384 bytes (tail 8 n), WebSocket (tail 4 n or 8 n). HTTP/2 has
13-byte WINDOW_UPDATE and 17-byte PING frames, but they run against the bulk.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from btresearch.detect.cells import flag, integer, rows, vectors
from btresearch.detect.contract import Verdict, abstain, answers, bittorrent, other

Ints = npt.NDArray[np.int64]

APPLICATION_DATA = 23
TLS13 = 0x0304
FULL_BYTES = 1 << 14  # RFC 8446, section 5.1; also the block size of every client
PIECE_HEADER_BYTES = 13  # length, id, index, begin (BEP 3)
REQUEST_BYTES = 17  # length, id, index, begin, length (BEP 3)
# Bytes that protection adds. TLS 1.3: content type and tag. TLS 1.2: explicit nonce and tag
# (AES-GCM, RFC 5288), or the tag alone (ChaCha20-Poly1305, RFC 7905).
OVERHEADS = {TLS13: (17,)}
OVERHEADS_TLS12 = (24, 16)


def explained(plain: Ints) -> int:
    """How many full records of one direction the two marks explain; `plain` are plaintext lengths."""
    full = plain == FULL_BYTES
    edges = np.flatnonzero(np.diff(np.concatenate([[False], full, [False]]).astype(np.int8)))
    starts, ends = edges[::2], edges[1::2]  # runs of full records
    if not len(starts):
        return 0
    sizes = ends - starts
    beside = np.concatenate([[-1], plain, [-1]])
    before, after = beside[starts], beside[ends + 1]
    coalesced = after == PIECE_HEADER_BYTES * sizes
    header_first = (sizes == 1) & (before == PIECE_HEADER_BYTES)
    return int(sizes[coalesced | header_first].sum())


def requests(plain: Ints) -> tuple[int, int]:
    """How many records hold whole `request` messages only (multiples of 17 bytes), of how many."""
    return int(((plain > 0) & (plain % REQUEST_BYTES == 0)).sum()), len(plain)


@dataclass(frozen=True, kw_only=True)
class RecordTail:
    """Share of full records explained by piece messages, the greater of both directions.

    `minimum_full` full records are needed to say anything: 4 are 64 KiB, and that half of them
    are explained by chance is out of question. `threshold` is half: a coin's worth of slack for other
    messages in between, far above the look-alikes, which explain none.
    """

    minimum_full: int = 4
    threshold: float = 0.5
    name: str = "record_tail"
    version: str = "1"
    cites: tuple[str, ...] = (
        "btresearch's own rule",
        "BEP 3 (piece and request messages)",
        "RFC 8446, sections 5.1 and 5.2 (record size and protection)",
    )
    question: int = 2
    sees: tuple[str, ...] = ("is_tls", "tls_version", "tls_dir", "tls_type", "tls_len")
    needs: str = ""
    trained: bool = False

    def __call__(self, flows: pd.DataFrame) -> pd.DataFrame:
        """BitTorrent, other, or abstain (not TLS, or too little bulk)."""
        return answers(flows.index, [self._verdict(*row) for row in rows(flows, self.sees)])

    def _verdict(self, tls: object, version: object, dirs: object, types: object, lengths: object) -> Verdict:
        if not flag(tls):
            return abstain("not TLS")
        ways, kinds, sizes = vectors(dirs, types, lengths)
        data = kinds == APPLICATION_DATA
        overheads = OVERHEADS.get(integer(version), OVERHEADS_TLS12)
        tried = [self._direction(ways[data], sizes[data] - o, way) for o in overheads for way in (1, -1)]
        return max(tried, key=lambda answer: (answer.verdict != "abstain", answer.score))

    def _direction(self, ways: Ints, plain: Ints, way: int) -> Verdict:
        bulk, back = plain[ways == way], plain[ways == -way]
        full = int((bulk == FULL_BYTES).sum())
        if full < self.minimum_full:
            return abstain(f"fewer than {self.minimum_full} full application-data records")
        hits, (asks, answers_) = explained(bulk), requests(back)
        why = (
            f"{'c2s' if way > 0 else 's2c'}: {hits} of {full} full records have a piece message's tail or header "
            f"beside them; {asks} of {answers_} records against them hold whole requests"
        )
        share = hits / full
        return (bittorrent if share >= self.threshold else other)(why, share)


DETECTOR = RecordTail()
