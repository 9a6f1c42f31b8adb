"""The l7-filter pattern for BitTorrent, as one regular expression over a flow's first data.

The original looks at the first packets' data of a connection, both ways in the order of arrival, NUL bytes left
out and letters in lower case; its own comment says that it will not work on encrypted streams. The missing `|`
between its scrape and announce forms is kept: neither of the two can match alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import pandas as pd

from btresearch.detect.cells import blob, items, rows
from btresearch.detect.contract import Verdict, abstain, answers, bittorrent, other

PATTERN = re.compile(
    rb"^(\x13bittorrent protocol|azver\x01$|get /scrape\?info_hash=get /announce\?info_hash=|"
    rb"get /client/bitcomet/|get /data\?fid=)|d1:ad2:id20:|\x08'7p\)\[rp\]"
)
MAX_BYTES = 2048  # l7-filter's maxdatalen
MAX_PACKETS = 10  # its default number of packets


@dataclass(frozen=True, kw_only=True)
class L7Filter:
    """bittorrent.pat over the first 2048 bytes of the first ten payload packets."""

    name: str = "l7filter"
    version: str = "1"
    cites: tuple[str, ...] = ("l7-filter, l7-protocols, protocols/bittorrent.pat",)
    question: int = 1
    sees: tuple[str, ...] = ("pkt_payload",)
    needs: str = ""
    trained: bool = False

    def __call__(self, flows: pd.DataFrame) -> pd.DataFrame:
        """BitTorrent, other, or abstain on a flow without payload."""
        return answers(flows.index, [_verdict(_first_data(cell)) for (cell,) in rows(flows, self.sees)])


def _first_data(cell: object) -> bytes:
    """At least MAX_BYTES of the first packets' data, if there is so much."""
    data, packets = b"", 0
    for item in items(cell):
        payload = blob(item)
        data, packets = data + payload, packets + bool(payload)
        if packets == MAX_PACKETS or len(data) >= 2 * MAX_BYTES:
            break
    return data


def _verdict(data: bytes) -> Verdict:
    if not data:
        return abstain("no payload")
    text = data[: 2 * MAX_BYTES].replace(b"\0", b"")[:MAX_BYTES].lower()
    match = PATTERN.search(text)
    return bittorrent(f"pattern matches {match[0]!r} at byte {match.start()}") if match else other("no match")


DETECTOR = L7Filter()
