"""What cover traffic does, drawn from a seed: a flow is a list of steps, a step sends, waits and receives.

Sizes are log-normal around published medians of web objects; the exact distribution matters less than that no two
flows of a kind are alike, so that a detector can't learn one fixed pattern.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import asdict, dataclass

from btresearch.lab.content import draw_size


@dataclass(frozen=True)
class Step:
    """Send `up_bytes`, wait `wait_ms` (client's think time, or the server's hold in a long poll), get `down_bytes`."""

    up_bytes: int = 0
    down_bytes: int = 0
    wait_ms: int = 0


def _lognormal(rng: random.Random, median: float, sigma: float, high: int) -> int:
    return max(16, min(high, round(median * math.exp(rng.gauss(0, sigma)))))


def _split(rng: random.Random, total: int, parts: int) -> list[int]:
    weights = [rng.expovariate(1) + 0.01 for _ in range(parts)]
    return [max(64, round(total * weight / sum(weights))) for weight in weights]


def _pages(rng: random.Random, total: int) -> list[Step]:
    page = Step(down_bytes=_lognormal(rng, 20_000, 0.8, 200_000))
    objects = _split(rng, total, rng.randrange(3, 16))
    return [page, *(Step(down_bytes=size, wait_ms=rng.randrange(0, 20)) for size in objects)]


def _download(rng: random.Random, total: int) -> list[Step]:
    return [
        Step(down_bytes=size, wait_ms=rng.randrange(0, 60))
        for size in _split(rng, total, rng.randrange(1, 4))
    ]


def _bulk(_rng: random.Random, total: int) -> list[Step]:
    return [Step(down_bytes=total)]


def _segments(rng: random.Random, total: int) -> list[Step]:
    count = rng.randrange(4, 10)
    sizes = [round(total / count * rng.uniform(0.7, 1.3)) for _ in range(count)]
    return [Step(down_bytes=size, wait_ms=rng.randrange(20, 80)) for size in sizes]


def _upload(rng: random.Random, total: int) -> list[Step]:
    sizes = _split(rng, total, rng.randrange(1, 6))
    return [Step(size, _lognormal(rng, 200, 0.7, 4000), rng.randrange(0, 30)) for size in sizes]


def _rpc(rng: random.Random, total: int) -> list[Step]:
    calls = rng.randrange(8, 40)
    answers = _split(rng, total, calls)
    return [Step(_lognormal(rng, 300, 0.9, 8000), size, rng.randrange(0, 15)) for size in answers]


def _sync(rng: random.Random, total: int) -> list[Step]:
    chunks = _split(rng, total, rng.randrange(4, 24))
    steps = []
    for size in chunks:
        note = _lognormal(rng, 150, 0.6, 2000)
        up, down = (size, note) if rng.random() < 0.5 else (note, size)
        steps.append(Step(up, down, rng.randrange(0, 15)))
    return steps


def _websocket(rng: random.Random, _total: int) -> list[Step]:
    talk = [
        (_lognormal(rng, 80, 1.0, 4000), _lognormal(rng, 120, 1.2, 16_000))
        for _ in range(rng.randrange(8, 40))
    ]
    return [Step(up, down, rng.randrange(0, 40)) for up, down in talk]


def _long_poll(rng: random.Random, _total: int) -> list[Step]:
    polls = rng.randrange(4, 12)
    return [Step(0, _lognormal(rng, 600, 1.0, 20_000), rng.randrange(30, 200)) for _ in range(polls)]


BEHAVIOURS: dict[str, Callable[[random.Random, int], list[Step]]] = {
    "pages_by_address": _pages,
    "pages": _pages,
    "download": _download,
    "bulk": _bulk,
    "segments": _segments,
    "upload": _upload,
    "rpc": _rpc,
    "sync": _sync,
    "websocket": _websocket,
    "long_poll": _long_poll,
}


def draw(
    behaviour: str, rng: random.Random, *, flows: int, size_bytes: tuple[int, int]
) -> list[list[dict[str, int]]]:
    """Draw the steps of `flows` flows, ready for a task file."""
    make = BEHAVIOURS[behaviour]
    return [[asdict(step) for step in make(rng, draw_size(rng, size_bytes))] for _ in range(flows)]
