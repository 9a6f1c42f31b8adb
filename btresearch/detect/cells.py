"""Reads the cells of a flow table, whatever a foreign or damaged table may hold in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd


def rows(flows: pd.DataFrame, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """The cells of the named columns, flow by flow."""
    return zip(*(flows[column] for column in columns), strict=True)


def items(cell: object) -> list[Any]:
    """A list cell as a Python list; anything else, None included, is an empty one."""
    if isinstance(cell, np.ndarray):
        return cell.tolist() if cell.dtype != object else list(cell)
    return list(cell) if isinstance(cell, (list, tuple)) else []


def vector(cell: object) -> npt.NDArray[np.int64]:
    """A list cell of integers as an array; anything else is an empty one."""
    return np.asarray(cell if isinstance(cell, (np.ndarray, list, tuple)) else [], dtype=np.int64)


def blob(cell: object) -> bytes:
    """A binary cell; anything else is empty."""
    return bytes(cell) if isinstance(cell, (bytes, bytearray, memoryview)) else b""


def blobs(cell: object) -> list[bytes]:
    """A list cell of binaries."""
    return [blob(item) for item in items(cell)]


def text(cell: object) -> str:
    """A text cell; anything else is empty."""
    return cell if isinstance(cell, str) else ""


def flag(cell: object) -> bool:
    """A truth cell; anything else is false."""
    return bool(cell) if isinstance(cell, (bool, np.bool_)) else False
