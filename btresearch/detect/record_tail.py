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

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from btresearch.detect.cells import flag, integer, rows, vectors
from btresearch.detect.contract import Verdict, abstain, answers, bittorrent, other

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

APPLICATION_DATA = 23
TLS13 = 0x0304
FULL_BYTES = 1 << 14  # RFC 8446, section 5.1; also the block size of every client
PIECE_HEADER_BYTES = 13  # length, id, index, begin (BEP 3)
REQUEST_BYTES = 17  # length, id, index, begin, length (BEP 3)
# Bytes that protection adds. TLS 1.3: content type and tag. TLS 1.2: explicit nonce and tag
# (AES-GCM, RFC 5288), or the tag alone (ChaCha20-Poly1305, RFC 7905); which one is not looked up, both are tried.
OVERHEADS = {True: (17,), False: (24, 16)}


class Records(NamedTuple):
    """Application-data records of many directions, one direction after the other.

    `group` numbers the directions from 0 without a hole, `plain` are plaintext lengths.
    """

    group: Ints
    plain: Ints

    def explained(self, groups: int) -> Ints:
        """How many full records of each direction the two marks explain."""
        full = self.plain == FULL_BYTES
        border = np.concatenate([[True], self.group[1:] != self.group[:-1], [True]])
        lone = np.concatenate([[False], full, [False]])
        starts = np.flatnonzero(full & (border[:-1] | ~lone[:-2]))  # runs of full records
        ends = np.flatnonzero(full & (border[1:] | ~lone[2:]))
        sizes = ends - starts + 1
        beside = np.concatenate([[-1], self.plain, [-1]])
        before = np.where(border[starts], -1, beside[starts])
        after = np.where(border[ends + 1], -1, beside[ends + 2])
        marked = (after == PIECE_HEADER_BYTES * sizes) | ((sizes == 1) & (before == PIECE_HEADER_BYTES))
        return _counts(self.group[starts], groups, np.where(marked, sizes, 0))

    def requests(self, groups: int) -> Ints:
        """How many records of each direction hold whole `request` messages only (multiples of 17 bytes)."""
        return _counts(self.group, groups, (self.plain > 0) & (self.plain % REQUEST_BYTES == 0))


def _counts(group: Ints, groups: int, what: npt.NDArray[np.generic]) -> Ints:
    return np.bincount(group, weights=what, minlength=groups).astype(np.int64)


def explained(plain: Ints) -> int:
    """How many full records of one direction the two marks explain; `plain` are plaintext lengths."""
    return int(Records(np.zeros(len(plain), np.int64), np.asarray(plain, np.int64)).explained(1)[0])


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
        few = abstain(f"fewer than {self.minimum_full} full application-data records")
        verdicts = [few if flag(tls) else NOT_TLS for tls in flows["is_tls"]]
        for row, verdict in self._judged(flows):
            if verdicts[row] is few or verdict.score > verdicts[row].score:
                verdicts[row] = verdict
        return answers(flows.index, verdicts)

    def _judged(self, flows: pd.DataFrame) -> Iterator[tuple[int, Verdict]]:
        """A verdict for each overhead and direction of a flow that has enough full records."""
        row, way, length = data_records(flows)
        group = 2 * row + (way < 0)  # c2s, s2c
        groups = 2 * len(flows)
        order = np.argsort(group, kind="stable")
        group, length = group[order], length[order]
        tls13 = np.repeat([integer(version) == TLS13 for version in flows["tls_version"]], 2)
        for is_tls13, overheads in OVERHEADS.items():
            for overhead in overheads:
                records = Records(group, length - overhead)
                yield from self._directions(records, groups, tls13 == is_tls13)

    def _directions(self, records: Records, groups: int, applies: Bools) -> Iterator[tuple[int, Verdict]]:
        full = _counts(records.group, groups, records.plain == FULL_BYTES)
        chosen = np.flatnonzero(applies & (full >= self.minimum_full))
        if not len(chosen):
            return
        hits, asks = records.explained(groups), records.requests(groups)
        total = np.bincount(records.group, minlength=groups)
        for at in chosen.tolist():
            why = (
                f"{'s2c' if at % 2 else 'c2s'}: {hits[at]} of {full[at]} full records have a piece message's tail or "
                f"header beside them; {asks[at ^ 1]} of {total[at ^ 1]} records against them hold whole requests"
            )
            share = float(hits[at] / full[at])
            yield at // 2, (bittorrent if share >= self.threshold else other)(why, share)


def data_records(flows: pd.DataFrame) -> tuple[Ints, Ints, Ints]:
    """Row, direction and length of every application-data record of the TLS flows."""
    cells = [
        vectors(*columns) if flag(tls) else NO_RECORDS
        for tls, *columns in rows(flows, ("is_tls", "tls_dir", "tls_type", "tls_len"))
    ]
    ways, kinds, lengths = (np.concatenate(column) for column in zip(NO_RECORDS, *cells, strict=True))
    row = np.repeat(np.arange(len(cells)), [len(cell[0]) for cell in cells])
    data = kinds == APPLICATION_DATA
    return row[data], ways[data], lengths[data]


NOT_TLS = abstain("not TLS")
NO_RECORDS = [np.zeros(0, np.int64)] * 3

DETECTOR = RecordTail()
