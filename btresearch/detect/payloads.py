"""The payload packets of many flows side by side, for rules that look at a few bytes of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from btresearch.detect.cells import blob, integer

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Cell = Sequence[Any] | npt.NDArray[Any]

HEAD_BYTES = 48
COLUMNS = ("proto", "pkt_dir", "pkt_len", "pkt_payload")
PORTS = ("sport", "dport")


@dataclass(frozen=True)
class Payloads:
    """Arrays of one entry per payload packet; only the first `limit` packets of each flow are in.

    `row` is the flow's position in the table, `k` counts the flow's payload packets from 0, `way` is +1 (c2s) or
    -1 (s2c), `length` the payload on the wire; `payload` is what the table kept of it. `sport` and `dport` are the
    packet's own (0 where the detector does not see ports).
    """

    row: Ints
    k: Ints
    way: Ints
    length: Ints
    udp: Bools
    sport: Ints
    dport: Ints
    payload: list[bytes]

    @classmethod
    def of(cls, flows: pd.DataFrame, limit: int) -> Payloads:
        """The first `limit` payload packets of every flow, flow by flow."""
        lengths, ways, kept = _lists(flows)
        counts = np.array([len(cell) for cell in lengths], dtype=np.int64)
        row = np.repeat(np.arange(len(flows)), counts)
        length, way = _joined(lengths), _joined(ways)
        bearing = np.flatnonzero(length > 0)
        k = _ranks(row[bearing])
        chosen = bearing[k < limit]
        all_kept = list(chain.from_iterable(kept))
        sport, dport = _ports(flows, row[chosen], way[chosen])
        return cls(
            row[chosen],
            k[k < limit],
            way[chosen],
            length[chosen],
            (flows["proto"].to_numpy() == "udp")[row[chosen]],
            sport,
            dport,
            [blob(all_kept[at]) for at in chosen],
        )

    @property
    def tcp(self) -> Bools:
        """The packets of TCP flows; the table has no third kind."""
        return ~self.udp

    @cached_property
    def kept(self) -> Ints:
        """Bytes of each packet that the table has; a test of bytes beyond them fails."""
        return np.fromiter(map(len, self.payload), np.int64, len(self.payload))

    @cached_property
    def head(self) -> npt.NDArray[np.uint8]:
        """First bytes of every packet, a row each, zeros where it is shorter."""
        padded = b"".join(payload[:HEAD_BYTES].ljust(HEAD_BYTES, b"\0") for payload in self.payload)
        return np.frombuffer(padded, np.uint8).reshape(-1, HEAD_BYTES)

    def starts(self, prefix: bytes, at: int = 0) -> Bools:
        """Whether `prefix` stands at offset `at` (both within HEAD_BYTES)."""
        end = at + len(prefix)
        same = (self.head[:, at:end] == np.frombuffer(prefix, np.uint8)).all(axis=1)
        return np.asarray(same & (self.kept >= end))

    def u8(self, at: int) -> Ints:
        """The byte at offset `at`; -1 where the packet is shorter."""
        return np.where(self.kept > at, self.head[:, at].astype(np.int64), -1)

    def u16(self, at: int) -> Ints:
        """The big-endian number of 2 bytes at offset `at`; -1 where the packet is shorter."""
        return self._number(at, ">u2")

    def u32(self, at: int) -> Ints:
        """The big-endian number of 4 bytes at offset `at`; -1 where the packet is shorter."""
        return self._number(at, ">u4")

    def contains(self, needle: bytes, among: Bools | None = None) -> Bools:
        """Whether `needle` stands anywhere in the packet; `among` spares the search elsewhere."""
        found = np.zeros(len(self.payload), dtype=bool)
        for at in range(len(self.payload)) if among is None else np.flatnonzero(among):
            found[at] = needle in self.payload[at]
        return found

    def _number(self, at: int, kind: str) -> Ints:
        width = np.dtype(kind).itemsize
        cut = np.ascontiguousarray(self.head[:, at : at + width]).view(kind)[:, 0].astype(np.int64)
        return np.where(self.kept >= at + width, cut, -1)


def _lists(flows: pd.DataFrame) -> tuple[list[Cell], list[Cell], list[Cell]]:
    """The packet columns, a sequence each a flow; empty ones where their lengths disagree, as in a damaged table."""
    columns = [[_sequence(cell) for cell in flows[name]] for name in ("pkt_len", "pkt_dir", "pkt_payload")]
    for i, cells in enumerate(zip(*columns, strict=True)):
        if not len(cells[0]) == len(cells[1]) == len(cells[2]):
            for column in columns:
                column[i] = ()
    return columns[0], columns[1], columns[2]


def _sequence(cell: object) -> Cell:
    return cell if isinstance(cell, (np.ndarray, list, tuple)) else ()


def _joined(cells: Sequence[Cell]) -> Ints:
    filled = [cell for cell in cells if len(cell)]
    return np.concatenate(filled).astype(np.int64, copy=False) if filled else np.zeros(0, np.int64)


def _ranks(row: Ints) -> Ints:
    """0, 1, 2 ... within each run of equal values."""
    first = np.concatenate([[True], row[1:] != row[:-1]]) if len(row) else np.zeros(0, dtype=bool)
    position = np.arange(len(row))
    return np.asarray(position - np.maximum.accumulate(np.where(first, position, 0)), dtype=np.int64)


def _ports(flows: pd.DataFrame, row: Ints, way: Ints) -> tuple[Ints, Ints]:
    if not set(PORTS) <= set(flows.columns):
        return np.zeros(len(row), np.int64), np.zeros(len(row), np.int64)
    sport, dport = (_numbers(flows[port])[row] for port in PORTS)
    return np.where(way > 0, sport, dport), np.where(way > 0, dport, sport)


def _numbers(column: pd.Series[Any]) -> Ints:
    """A column of numbers; cell by cell only where it is damaged."""
    if pd.api.types.is_integer_dtype(column.dtype):
        return column.to_numpy(np.int64)
    return np.array([integer(cell) for cell in column], np.int64)
