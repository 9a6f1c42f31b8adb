"""The three levels on the wire: the same transfer again and again, and the lengths of its TLS records compared.

The opening, up to the first full record, is compared record by record; what follows, by a permutation test: the
statistic is the two-sample Kolmogorov-Smirnov distance between the record lengths of two groups of runs, its
p-value the share of all divisions of the runs into two such groups that are at least as far apart. Runs, and not
records, are what is exchanged, since the records of one run depend on each other.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from tests.session.levels import LEVELS, Level, club
from tests.session.swarming import fetch, seeding

RUNS = 8
ALPHA = 0.001  # for each of six comparisons; the least p that 8 runs against 8 can have is 2/12870
FULL_RECORD = 16401
APPLICATION = 23
Way = Literal["out", "in"]  # as the initiator sees them


@dataclass
class Lengths:
    """The records of one connection, cut in two where the first full one has come."""

    opening: dict[Way, list[int]] = field(default_factory=lambda: {"out": [], "in": []})
    bulk: dict[Way, list[int]] = field(default_factory=lambda: {"out": [], "in": []})
    _unread: dict[Way, bytes] = field(default_factory=lambda: {"out": b"", "in": b""})

    def tap(self, _: int, way: Way, wire: bytes) -> None:
        data = self._unread[way] + wire
        while len(data) >= 5 and len(data) >= (size := 5 + int.from_bytes(data[3:5], "big")):
            if data[0] == APPLICATION:
                self._note(way, size - 5)
            data = data[size:]
        self._unread[way] = data

    def _note(self, way: Way, length: int) -> None:
        begun = bool(self.bulk["in"]) or (way == "in" and length == FULL_RECORD)
        (self.bulk if begun else self.opening)[way].append(length)


async def _transfer(folder: Path, level: Level, shape: str) -> Lengths:
    folder.mkdir()
    torrents, seen = club(folder / "in", level, 1_000_000), Lengths()
    wire = {"transports": ["btls_basic"], "shape": shape}
    async with seeding(torrents.content, access=torrents.access(), **wire) as end:
        torrent = torrents.content.torrent
        await fetch(torrent, folder / "out", end.port, access=torrents.access(), tap=seen.tap, **wire)
    return seen


def _runs(folder: Path, level: Level, shape: str = "rechunk") -> list[Lengths]:
    name = f"{level} {shape}"
    return [asyncio.run(_transfer(folder / f"{name} {number}", level, shape)) for number in range(RUNS)]


def _p_value(one: list[list[int]], other: list[list[int]]) -> float:
    """Of the permutation test between two groups of runs; exact, all divisions are tried."""
    runs = one + other
    lengths = np.unique(np.concatenate([np.array(run) for run in runs]))
    counts = np.array([np.histogram(run, bins=[*lengths, np.inf])[0] for run in runs])
    groups = np.array(list(combinations(range(len(runs)), len(one))))
    chosen = np.zeros((len(groups), len(runs)))
    np.put_along_axis(chosen, groups, 1, axis=1)
    distances = np.abs(_share(chosen @ counts) - _share((1 - chosen) @ counts)).max(axis=1)
    return float((distances >= distances[0] - 1e-12).mean())  # the first division is the true one


def _share(counts: np.ndarray) -> np.ndarray:
    return counts.cumsum(axis=1) / counts.sum(axis=1, keepdims=True)


@pytest.mark.slow
def test_levels_differ_by_full_s_one_flight_and_by_nothing_else(tmp_path: Path) -> None:
    runs = {level: _runs(tmp_path, level) for level in LEVELS}
    _check_openings(runs)
    unshaped = _runs(tmp_path, "basic", "none")
    for way in ("in", "out"):
        basic, strict, full = ([run.bulk[way] for run in runs[level]] for level in LEVELS)
        found = {
            "basic, strict": _p_value(basic, strict),
            "basic, full": _p_value(basic, full),
            "strict, full": _p_value(strict, full),
        }
        power = _p_value(basic, [run.bulk[way] for run in unshaped])
        print(way, {pair: round(p, 4) for pair, p in found.items()}, "control:", round(power, 4))
        assert min(found.values()) > ALPHA
        if way == "in":
            assert power <= ALPHA  # the test sees a difference where there is one


def _check_openings(runs: dict[Level, list[Lengths]]) -> None:
    """Finished and Hello are the same everywhere; Full says one record more each way before BitTorrent."""
    heads = {level: [run.opening["out"] for run in each] for level, each in runs.items()}
    assert {tuple(head[:2]) for each in heads.values() for head in each} == {(69, 661)}
    assert {tuple(run.opening["in"][:1]) for each in runs.values() for run in each} == {(38,)}
    assert all(sum(head[2:]) < 900 for level in ("basic", "strict") for head in heads[level])
    assert {900 < head[2] < 1000 for head in heads["full"]} == {True}  # request and authenticator
    # EncryptedExtensions, Certificate, CertificateVerify, Finished, two tickets; then the Hello
    hellos = {level: [run.opening["in"][6] for run in each] for level, each in runs.items()}
    assert all(200 < length < 1700 for each in hellos.values() for length in each)
    proofs = {level: [run.opening["in"][7:] for run in each] for level, each in runs.items()}
    assert all(900 < proof[0] < 1300 for proof in proofs["full"])  # the authenticator
    assert all(sum(proof) < 400 for level in ("basic", "strict") for proof in proofs[level])


def test_the_permutation_test_knows_equals_from_others() -> None:
    rng = np.random.default_rng(7)
    same = [[int(n) for n in rng.integers(0, 50, 60)] for _ in range(2 * RUNS)]
    shifted = [[n + 5 for n in run] for run in same[RUNS:]]
    assert _p_value(same[:RUNS], same[RUNS:]) > 0.05
    assert _p_value(same[:RUNS], shifted) <= ALPHA
