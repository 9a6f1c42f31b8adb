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
    try:
        return np.asarray(cell if isinstance(cell, (np.ndarray, list, tuple)) else [], dtype=np.int64)
    except (TypeError, ValueError):
        return np.zeros(0, dtype=np.int64)


def vectors(*cells: object) -> list[npt.NDArray[np.int64]]:
    """List cells of one group; all of them are empty when their lengths differ."""
    found = [vector(cell) for cell in cells]
    return found if len({len(v) for v in found}) == 1 else [found[0][:0]] * len(found)


def integer(cell: object) -> int:
    """A number cell; anything else is -1, the flow table's word for "unknown"."""
    return int(cell) if isinstance(cell, (int, np.integer)) else -1


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
