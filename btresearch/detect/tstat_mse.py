"""Tstat's rule for MSE/PE: both sides open with a Diffie-Hellman-sized message, and bytes look random.

The only open traffic meter known to claim MSE itself. Deviations: message sizes are sums of payload
lengths, so a retransmission counts twice where the original subtracts sequence numbers; the rule is
asked once, at the end of the listed packets, where the original asks at every payload packet; and of
the original's other classes, which all win over this one, only those that would otherwise pass are
stood in for: TLS by the flow table's record parser, SSH, HTTP and Gnutella by their first bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from btresearch.detect.cells import blob, flag, items, rows, vectors
from btresearch.detect.contract import Verdict, abstain, answers, bittorrent, other

FIN, PSH, ACK = 0x01, 0x08, 0x10
DH_BYTES = range(96, 608 + 1)  # 96-byte key and 0..512 bytes of padding
MESSAGES = 2
EARLY_PACKETS = 24
OTHER_CLASSES = {b"SSH-": "SSH", b"HTTP/": "HTTP", b"GNUTELLA": "Gnutella"}
ENTROPY_PACKETS = 4
ENTROPY_BITS = 3.7  # of 4; exceeded by about 100 random samples with 99 % probability


class Row(NamedTuple):
    """The columns of one flow, as they come."""

    proto: object
    handshake_seen: object
    is_tls: object
    pkt_dir: object
    pkt_len: object
    pkt_flags: object
    pkt_payload: object
    first_payload_c2s: object
    first_payload_s2c: object


def message_sizes(direction: int, dirs: list[int], lengths: list[int], flags: list[int]) -> list[int]:
    """Bytes of the direction's first two messages; one ends at a PSH or FIN segment with ACK."""
    sizes: list[int] = []
    size = 0
    for way, length, bits in zip(dirs, lengths, flags, strict=True):
        if way != direction:
            continue
        size += length
        if size and bits & ACK and bits & (PSH | FIN):
            sizes.append(size)
            size = 0
            if len(sizes) == MESSAGES:
                break
    return sizes


def first_messages(frames: list[npt.NDArray[np.int64]]) -> tuple[list[int], list[int]]:
    """Sizes of the first two messages each way, from directions, lengths and flags; mostly the first packets do."""
    for limit in (EARLY_PACKETS, len(frames[0])):
        cut = [column[:limit].tolist() for column in frames]
        ours, theirs = message_sizes(1, *cut), message_sizes(-1, *cut)
        if len(ours) == len(theirs) == MESSAGES:
            break
    return ours, theirs


def dh_sized(sizes: list[int]) -> bool:
    """Whether the first message, or the first two together, fit a key with padding."""
    return bool(sizes) and (sizes[0] in DH_BYTES or sum(sizes) in DH_BYTES)


def nibble_entropies(data: bytes) -> tuple[float, float]:
    """Shannon entropy in bits of the low and of the high nibbles; 4 is the most."""
    counts = np.bincount(np.frombuffer(data, np.uint8), minlength=256).reshape(16, 16)
    return _entropy(counts.sum(axis=0), len(data)), _entropy(counts.sum(axis=1), len(data))


def _entropy(counts: npt.NDArray[np.int64], total: int) -> float:
    p = counts[counts > 0] / max(1, total)
    return float(-np.add.reduce(p * np.log2(p)))


@dataclass(frozen=True, kw_only=True)
class TstatMse:
    """Message sizes in 96..608 both ways, and nibble entropy above 3.7 bits over four payload packets."""

    name: str = "tstat_mse"
    version: str = "1"
    cites: tuple[str, ...] = ("Tstat (github.com/andreaaraldo/mytstat 6ef2de51), tcpL7.c, tcp.c, param.h",)
    question: int = 1
    sees: tuple[str, ...] = Row._fields
    needs: str = ""
    trained: bool = False

    def __call__(self, flows: pd.DataFrame) -> pd.DataFrame:
        """BitTorrent, other, or abstain (not TCP, half-open, one-sided)."""
        return answers(flows.index, [_verdict(Row(*row)) for row in rows(flows, self.sees)])


def _verdict(row: Row) -> Verdict:
    if row.proto != "tcp":
        return abstain("the rule looks at TCP only")
    if not flag(row.handshake_seen):
        return abstain("the TCP handshake was not captured")
    ours, theirs = first_messages(vectors(row.pkt_dir, row.pkt_len, row.pkt_flags))
    if not ours or not theirs:
        return abstain("no whole message in both directions")
    if named := _other_class(row):
        return other(f"{named}: every other class wins over this one")
    return _judge(ours, theirs, map(blob, items(row.pkt_payload)))


def _other_class(row: Row) -> str:
    heads = (blob(row.first_payload_c2s), blob(row.first_payload_s2c))
    clear = (name for prefix, name in OTHER_CLASSES.items() if any(head.startswith(prefix) for head in heads))
    return "TLS" if flag(row.is_tls) else next(clear, "")


def _judge(ours: list[int], theirs: list[int], payloads: Iterable[bytes]) -> Verdict:
    sizes = f"messages c2s {ours} B, s2c {theirs} B"
    if not (dh_sized(ours) and dh_sized(theirs)):
        return other(f"{sizes}: not both within {DH_BYTES[0]}..{DH_BYTES[-1]}")
    low, high = nibble_entropies(b"".join(islice(filter(None, payloads), ENTROPY_PACKETS)))
    why = f"{sizes}, nibble entropy {low:.3f} and {high:.3f} bits, limit {ENTROPY_BITS}"
    return bittorrent(why) if min(low, high) > ENTROPY_BITS else other(why)


DETECTOR = TstatMse()
