"""The entropy-distribution test on the first client packet, with its length gate.

The first 2048 bytes are cut into blocks of eight; the entropies of the blocks are compared with those of uniformly
random blocks by a two-sample Kolmogorov-Smirnov test, and a packet of at least 149 bytes that the test can't tell
from noise is flagged. The paper's significance level is not in the sources at hand: 5 % here, a field of the
detector. The entropy of eight bytes depends only on how often values repeat among them, so the uniform side is
known exactly and needs no sample; the test's critical value is then the one-sample one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import groupby
from math import factorial, log2, prod, sqrt

import numpy as np
import numpy.typing as npt
import pandas as pd

from btresearch.detect.cells import blob, flag, rows
from btresearch.detect.contract import Verdict, abstain, answers, flagged, other

Floats = npt.NDArray[np.float64]

MAX_BYTES = 2048
BLOCK_BYTES = 8
GATE_BYTES = 149
VALUES = 256
ROUNDING = 1e-9
# Asymptotic two-sided critical values of the Kolmogorov statistic, times sqrt(n).
CRITICAL = {0.10: 1.224, 0.05: 1.358, 0.01: 1.628}


def partitions(n: int, largest: int) -> list[tuple[int, ...]]:
    """The ways to write n as a sum, parts in falling order."""
    if n == 0:
        return [()]
    return [(k, *rest) for k in range(min(n, largest), 0, -1) for rest in partitions(n - k, k)]


def probability(parts: tuple[int, ...]) -> float:
    """How likely eight random bytes repeat their values just so often."""
    orders = factorial(BLOCK_BYTES) / prod(map(factorial, parts))
    choices = prod(range(VALUES, VALUES - len(parts), -1))
    alike = prod(factorial(sum(1 for _ in group)) for _, group in groupby(parts))
    return float(orders * choices / alike / VALUES**BLOCK_BYTES)


def bits(parts: tuple[int, ...]) -> float:
    """Shannon entropy of a block whose values repeat so often."""
    return -sum(k / BLOCK_BYTES * log2(k / BLOCK_BYTES) for k in parts)


@cache
def uniform() -> tuple[Floats, Floats]:
    """The entropies that a block of random bytes can have, rising, and their cumulative probabilities."""
    mass: dict[float, float] = {}
    for parts in partitions(BLOCK_BYTES, BLOCK_BYTES):
        mass[round(bits(parts), 9)] = mass.get(round(bits(parts), 9), 0.0) + probability(parts)
    values = sorted(mass)
    return np.array(values), np.cumsum([mass[value] for value in values])


def block_kinds(blocks: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Which of the entropies of `uniform` each row of eight bytes has.

    Once sorted, which neighbours are equal (seven bits) says how often each value repeats.
    """
    ordered = np.sort(blocks, axis=1)
    equal = np.packbits(ordered[:, 1:] == ordered[:, :-1], axis=1, bitorder="little")
    return _kind_of_pattern()[equal[:, 0]]


@cache
def _kind_of_pattern() -> npt.NDArray[np.int64]:
    patterns = [[pattern >> i & 1 for i in range(BLOCK_BYTES - 1)] for pattern in range(1 << BLOCK_BYTES - 1)]
    entropies = [bits(_repeats(pattern)) for pattern in patterns]
    return np.searchsorted(uniform()[0], np.array(entropies) - ROUNDING).astype(np.int64)


def _repeats(equal_neighbours: list[int]) -> tuple[int, ...]:
    parts = [1]
    for equal in equal_neighbours:
        parts = [*parts[:-1], parts[-1] + 1] if equal else [*parts, 1]
    return tuple(parts)


def distances(packets: list[bytes]) -> Floats:
    """The Kolmogorov-Smirnov statistic of each packet against uniformly random blocks; no packet under a block."""
    values, expected = uniform()
    cut = [packet[: min(MAX_BYTES, len(packet) - len(packet) % BLOCK_BYTES)] for packet in packets]
    counts = np.array([len(data) // BLOCK_BYTES for data in cut], dtype=np.int64)
    blocks = np.frombuffer(b"".join(cut), np.uint8).reshape(-1, BLOCK_BYTES)
    cell = np.repeat(np.arange(len(packets)), counts) * len(values) + block_kinds(blocks)
    histogram = np.bincount(cell, minlength=len(packets) * len(values)).reshape(len(packets), len(values))
    seen = np.cumsum(histogram, axis=1) / counts[:, None]
    return np.asarray(np.abs(seen - expected).max(axis=1), dtype=np.float64)


@dataclass(frozen=True, kw_only=True)
class Entropy:
    """Flags a first client packet whose blocks look random, if it is long enough."""

    significance: float = 0.05  # one of CRITICAL
    name: str = "entropy"
    version: str = "1"
    cites: tuple[str, ...] = (
        "Wang, Dyer, Akella, Ristenpart, Shrimpton, Seeing through Network-Protocol Obfuscation, CCS 2015",
    )
    question: int = 1
    sees: tuple[str, ...] = ("proto", "syn_seen", "first_payload_c2s")
    needs: str = ""
    trained: bool = False

    def __call__(self, flows: pd.DataFrame) -> pd.DataFrame:
        """Flagged, other, or abstain (not TCP, no start, no client data)."""
        verdicts: list[Verdict | None] = []
        asked: list[tuple[int, bytes]] = []
        for row in rows(flows, self.sees):
            verdict = _excuse(*row)
            asked += [] if verdict else [(len(verdicts), blob(row[2]))]
            verdicts.append(verdict)
        for (at, data), d in zip(asked, distances([data for _, data in asked]), strict=True):
            verdicts[at] = self._judge(data, float(d))
        return answers(flows.index, [verdict for verdict in verdicts if verdict])

    def _judge(self, data: bytes, d: float) -> Verdict:
        blocks = min(MAX_BYTES, len(data)) // BLOCK_BYTES
        limit = CRITICAL[self.significance] / sqrt(blocks)
        why = f"{len(data)} B in {blocks} blocks, KS {d:.3f}, limit {limit:.3f} at {self.significance:.0%}"
        return flagged(why) if d <= limit else other(why)


def _excuse(proto: object, syn_seen: object, first: object) -> Verdict | None:
    data = blob(first)
    if proto != "tcp" or not flag(syn_seen) or not data:
        return abstain("not TCP, no start, or no client data")
    return other(f"{len(data)} B, the gate is {GATE_BYTES} B") if len(data) < GATE_BYTES else None


DETECTOR = Entropy()
