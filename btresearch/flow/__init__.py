"""Packets to flows: one row per bidirectional flow, with the columns of `schema.SCHEMA`."""

from __future__ import annotations

from btresearch.flow.schema import GROUPS, KEY, SCHEMA, check, from_parquet, to_parquet

__all__ = ["GROUPS", "KEY", "SCHEMA", "check", "from_parquet", "to_parquet"]
