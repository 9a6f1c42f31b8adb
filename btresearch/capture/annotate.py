"""Write the labels of a table into a capture's packet comments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from btresearch.capture.comment import format_comment
from btresearch.capture.key import Key, key_between, key_of, reverse
from btresearch.capture.packet import Packet
from btresearch.capture.reader import Reader
from btresearch.capture.stream import Source
from btresearch.capture.writer import PcapngWriter, Target

if TYPE_CHECKING:
    import pandas as pd

EARLY_NS = 1_000_000_000
"""A flow's packets may precede its recorded start by this much: a socket reports after the SYN was sent."""

COMMENT_FIELDS = ("transport", "shape", "level", "client", "server", "role", "kind")

_Lookup = Callable[[Packet], str | None]


@dataclass(frozen=True, slots=True)
class Annotated:
    """How many packets got a comment, and how many belong to no labelled flow."""

    labelled: int
    unlabelled: int


def annotate(source: Source, labels: pd.DataFrame, target: Target) -> Annotated:
    """Copy a capture to pcapng with pcapML comments from `labels` (the table of `read_labels`).

    Each TCP or UDP packet gets the comment of the labelled flow with its 5-tuple, in either direction; where
    a 5-tuple recurs, of the flow that began last before the packet. Other packets keep the comment they had.
    Drop counters are copied. Raises `DamagedCapture`.
    """
    lookup = _lookup(labels)
    reader, labelled = Reader(source), 0
    first = next(reader, None)
    with PcapngWriter(target, linktype=first.linktype if first else 1) as writer:
        packet = first
        while packet is not None:
            comment = lookup(packet)
            if comment is not None:
                labelled += 1
                packet = packet._replace(comment=comment)
            writer.write(packet)
            last_ns, packet = packet.t_ns, next(reader, None)
        if reader.dropped is not None:
            received = sum(interface.received or 0 for interface in reader.interfaces)
            writer.statistics(received=received, dropped=reader.dropped, t_ns=last_ns if first else 0)
    return Annotated(labelled, reader.count - labelled)


def comment_of(row: pd.Series[str]) -> str:
    """Return the comment of one row of the labels table: its sample id, class and the `COMMENT_FIELDS`."""
    fields = {name: str(row[name]) for name in COMMENT_FIELDS}
    return format_comment(int(row["sample_id"]), str(row["class"]), **fields)


def _lookup(labels: pd.DataFrame) -> _Lookup:
    flows: dict[Key, list[tuple[int, str]]] = {}
    for _, row in labels.sort_values("t_first_ns").iterrows():
        key = key_between(row["proto"], row["src"], row["sport"], row["dst"], row["dport"])
        for direction in (key, reverse(key)):
            flows.setdefault(direction, []).append((row["t_first_ns"] - EARLY_NS, comment_of(row)))

    def comment(packet: Packet) -> str | None:
        key = key_of(packet.data, packet.linktype)
        candidates = flows.get(key, ()) if key else ()
        if len(candidates) > 1:
            return next(
                (text for start_ns, text in reversed(candidates) if start_ns <= packet.t_ns), candidates[0][1]
            )
        return candidates[0][1] if candidates else None

    return comment
