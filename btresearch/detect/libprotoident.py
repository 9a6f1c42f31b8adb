"""libprotoident's BitTorrent rules: the first four payload bytes and the first payload's length, per direction.

Only the rules for BitTorrent are here, with their priorities (a lower one wins); the library's other protocols,
which could win over them, are not, so this is an upper bound of what it names. It has no rule for MSE.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from btresearch.detect.cells import blob, rows
from btresearch.detect.contract import Verdict, abstain, answers, bittorrent, other

HANDSHAKE = b"\x13Bit"


class End(NamedTuple):
    """One direction: its first four payload bytes and its first payload's length."""

    head: bytes
    length: int

    def is_number(self, value: int) -> bool:
        """Whether the first four bytes are this big-endian number."""
        return len(self.head) == 4 and int.from_bytes(self.head, "big") == value

    def masked(self, value: int, mask: int) -> bool:
        """The same under a mask."""
        return len(self.head) == 4 and int.from_bytes(self.head, "big") & mask == value


Test = Callable[[End, End], bool]


def _begins(end: End, prefix: bytes = HANDSHAKE) -> bool:
    """The prefix, or as much of it as a shorter first payload (or none) can show."""
    return end.head == prefix[: len(end.head)]


def _handshake(a: End, b: End) -> bool:
    return _begins(a) and _begins(b)


def _old_handshake(a: End, b: End) -> bool:
    return a.is_number(0x13235757) and b.is_number(0x13235757)


EXTENSION_PAIRS = (
    (0x0000000D, 0x00000001), (0x00000003, 0x00000038), (0x00000003, 0x00000039), (0x00000003, 0x00000003),
    (0x0000004E, 0x000000B2),
)  # fmt: skip


def _extension_pairs(a: End, b: End) -> bool:
    return any(a.is_number(x) and b.is_number(y) for x, y in EXTENSION_PAIRS)


def _extension_small(a: End, b: End) -> bool:
    """A message of less than 512 bytes against one of 0x38 or 5."""
    return a.masked(0, 0xFFFFFE00) and (b.is_number(0x38) or b.is_number(5))


def _extension_odd(a: End, b: End) -> bool:
    return a.masked(0x01000068, 0xFFFF00FF) and b.is_number(5)


def _piece(a: End, b: End) -> bool:
    return a.is_number(0x00004009)


def _invalid(a: End, b: End) -> bool:
    return a.head == HANDSHAKE and not _begins(b)


def _dht(a: End, b: End) -> bool:
    heads = tuple(b"d1:" + letter for letter in (b"a", b"r", b"e", b"q", b"t"))
    return a.head in heads and (b.head in heads or not b.head)


def _dht_partly(a: End, b: End) -> bool:
    return a.head[:3] == b"d1:" and b.head in (b"d1:a", b"d1:r", b"d1:e")


def _dht_ip(a: End, b: End) -> bool:
    return a.head in (b"d2:i",) and (not b.head or b.head[:1] == b"d")


# uTP headers (BEP 29) with the lengths that they come in: request, then what may answer it.
UTP_SHORT = (b"\x11\0", b"\x21\0", b"\x31\0", b"\x41\0")
UTP_LONG = (b"\x21\2", b"\x31\2", b"\x41\2")
UTP_REPLIES = ((b"\x21\1", (26, 23)), (b"\x21\2", (33,)), (b"\x41\2", (33,)))


def _utp_end(end: End, *, replies: bool) -> bool:
    head = end.head[:2]
    plain = (head in UTP_SHORT and end.length == 20) or (head in UTP_LONG and end.length == 30)
    return plain or (replies and any(head == kind and end.length in sizes for kind, sizes in UTP_REPLIES))


def _utp(a: End, b: End) -> bool:
    return _utp_end(a, replies=False) and (not b.head or _utp_end(b, replies=True))


def _utp_data(a: End, b: End) -> bool:
    """Data both ways: the sequence number's first bytes differ by one at most."""
    if a.head[:2] != b"\x01\0" or b.head[:2] != b"\x01\0":
        return False
    return abs(int.from_bytes(a.head[2:], "big") - int.from_bytes(b.head[2:], "big")) <= 1


def _tracker(a: End, b: End) -> bool:
    connect = a.length in (98, 109) and b.is_number(1)
    announce = b.is_number(2) and a.length >= 36 and a.length % 10 == 6
    return connect or announce


def _search(a: End, b: End) -> bool:
    return a.head == b"BT-S" and not b.head


VUZE_REPLIES = (0x401, 0x403, 0x405, 0x407, 0x408)
VUZE_REQUEST_BYTES = (42, 51, 63, 65, 71)


def _vuze(a: End, b: End) -> bool:
    asks = a.masked(0x80000000, 0x80000000) or a.length in VUZE_REQUEST_BYTES
    return asks and any(b.is_number(value) for value in VUZE_REPLIES)


def _xbt(a: End, b: End) -> bool:
    return a.is_number(0x417) and a.length == 16


def _sync(a: End, b: End) -> bool:
    return a.head == b"BSYN" or b.head == b"BSYN"


@dataclass(frozen=True)
class Rule:
    """A module's test, asked both ways round."""

    module: str
    priority: int
    test: Test


RULES: dict[str, tuple[Rule, ...]] = {
    "tcp": (
        Rule("lpi_bittorrent handshake", 2, _handshake),
        Rule("lpi_bittorrent 13235757", 2, _old_handshake),
        Rule("lpi_bitextend message pair", 5, _extension_pairs),
        Rule("lpi_bitextend piece", 5, _piece),
        Rule("lpi_bitextend short message", 5, _extension_small),
        Rule("lpi_bitextend 0100xx68", 5, _extension_odd),
        Rule("lpi_invalid_bt", 200, _invalid),
    ),
    "udp": (
        Rule("lpi_dht_dict dictionary", 6, _dht),
        Rule("lpi_dht_dict d1 against a dictionary", 6, _dht_partly),
        Rule("lpi_dht_dict d2:i", 6, _dht_ip),
        Rule("lpi_dht_dict uTP header", 6, _utp),
        Rule("lpi_dht_dict uTP data", 6, _utp_data),
        Rule("lpi_dht_dict tracker", 6, _tracker),
        Rule("lpi_dht_dict search", 6, _search),
        Rule("lpi_dht_other Vuze", 12, _vuze),
        Rule("lpi_dht_other XBT tracker", 12, _xbt),
        Rule("lpi_btsync", 20, _sync),
    ),
}


@dataclass(frozen=True, kw_only=True)
class Libprotoident:
    """The library's BitTorrent modules over the first payload of each direction."""

    name: str = "libprotoident"
    version: str = "1"
    cites: tuple[str, ...] = (
        "wanduow/libprotoident ba2c95df (2.0.15), lib/tcp/lpi_bittorrent.cc, lpi_bitextend.cc, lpi_invalid_bt.cc",
        "lib/udp/lpi_dht_dict.cc, lpi_dht_other.cc, lpi_btsync.cc",
    )
    question: int = 1
    sees: tuple[str, ...] = ("proto", "first_payload_c2s", "first_payload_s2c")
    needs: str = ""
    trained: bool = False

    def __call__(self, flows: pd.DataFrame) -> pd.DataFrame:
        """BitTorrent with the module, other, or abstain on a flow without payload."""
        return answers(flows.index, [_verdict(*row) for row in rows(flows, self.sees)])


def _verdict(proto: object, c2s: object, s2c: object) -> Verdict:
    ours, theirs = blob(c2s), blob(s2c)
    if not ours and not theirs:
        return abstain("no payload")
    a, b = End(ours[:4], len(ours)), End(theirs[:4], len(theirs))
    rules = RULES.get(str(proto), ())
    hit = next((rule for rule in rules if rule.test(a, b) or rule.test(b, a)), None)
    if hit is None:
        return other("no module matches")
    return bittorrent(
        f"{hit.module} (priority {hit.priority}): {a.head.hex()} of {a.length} B, {b.head.hex()} of {b.length} B"
    )


DETECTOR = Libprotoident()
