"""The bytes that cover traffic carries: both ends can compute and so verify them."""

from __future__ import annotations

import functools
import random


@functools.lru_cache(maxsize=64)
def body(size_bytes: int) -> bytes:
    """The object of that size: incompressible, and the same at both ends."""
    return random.Random(size_bytes).randbytes(size_bytes)


def check(size_bytes: int, received: bytes) -> None:
    """Exit with one line on stderr unless `received` is the object of that size."""
    if received != body(size_bytes):
        raise SystemExit(f"expected the object of {size_bytes} bytes, got {len(received)} bytes that differ")
