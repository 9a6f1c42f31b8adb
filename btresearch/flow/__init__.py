"""Packets to flows: one row per bidirectional flow.

    from btresearch import flow

    flows = flow.read("capture.pcapng")
    flows[["src", "dst", "bytes_s2c", "is_tls", "ja4"]]

`SCHEMA` says what every column means (docs/schema.md is generated from it), `KEY` names the identifying
columns that detectors don't get, and `flows.attrs` counts every packet that is in no flow. Captures
larger than memory come as record batches from `batches`.
"""

from __future__ import annotations

from btresearch.flow.export import convert
from btresearch.flow.hello import (
    ClientHello,
    HelloError,
    ServerHello,
    is_grease,
    parse_client_hello,
    parse_server_hello,
)
from btresearch.flow.options import Options
from btresearch.flow.schema import GROUPS, KEY, SCHEMA, check, empty, from_parquet, to_parquet
from btresearch.flow.table import Batches, batches, read

__all__ = [
    "GROUPS",
    "KEY",
    "SCHEMA",
    "Batches",
    "ClientHello",
    "HelloError",
    "Options",
    "ServerHello",
    "batches",
    "check",
    "convert",
    "empty",
    "from_parquet",
    "is_grease",
    "parse_client_hello",
    "parse_server_hello",
    "read",
    "to_parquet",
]
