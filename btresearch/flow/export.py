"""Captures to a Parquet flow table in bounded memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from btresearch.flow.schema import ATTRS_KEY
from btresearch.flow.table import Batches


def convert(
    captures: Batches, out: str | PathLike[str], *, progress: Callable[[str], None] = lambda line: None
) -> dict[str, Any]:
    """Write the flows of `captures` to `out`, batch by batch, and return the table's attrs.

    Rows come in the order in which flows end; `from_parquet` reads the file back. `out` appears only when
    it is complete.
    """
    target = Path(out)
    part = target.with_name(target.name + ".part")
    flows = 0
    try:
        with pq.ParquetWriter(part, captures.schema, compression="zstd") as writer:
            for batch in captures:
                writer.write_batch(batch)
                flows += batch.num_rows
                progress(f"{captures.reports[-1].path}: {flows} flows")
            writer.add_key_value_metadata({ATTRS_KEY: json.dumps(captures.attrs)})
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return captures.attrs
