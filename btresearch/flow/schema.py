"""The flow table's schema: every column with its Arrow type, unit, group and meaning.

One row per bidirectional flow. No cell is null: what does not apply is an empty string, empty
bytes, an empty list, or -1 where the meaning says so. c2s runs from the flow's initiator (the SYN's
sender; without a SYN the first packet's sender) to the other end, s2c back. Directions are +1 (c2s)
and -1 (s2c).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from btresearch.errors import InputError

SCHEMA_VERSION = 1
ATTRS_KEY = b"btresearch.flow"  # Parquet file metadata that carries df.attrs as JSON


@dataclass(frozen=True)
class Column:
    """One column: `unit` is "" for names and counts; `group` is what a reader selects columns by."""

    name: str
    type: pa.DataType
    unit: str
    group: str
    meaning: str

    @property
    def field(self) -> pa.Field:
        """The Arrow field, never null, with unit, group and meaning as metadata."""
        facts = {"unit": self.unit, "group": self.group, "meaning": self.meaning}
        return pa.field(self.name, self.type, nullable=False, metadata=facts)


_STR, _BYTES, _BOOL = pa.string(), pa.binary(), pa.bool_()
_I32, _I64, _I8, _U8, _U16 = pa.int32(), pa.int64(), pa.int8(), pa.uint8(), pa.uint16()
_WAYS = (("c2s", "from the initiator"), ("s2c", "to the initiator"))


def _both(stem: str, type_: pa.DataType, unit: str, group: str, meaning: str) -> Iterator[Column]:
    for way, words in _WAYS:
        yield Column(f"{stem}_{way}", type_, unit, group, f"{meaning}, {words}")


COLUMNS: tuple[Column, ...] = (
    Column("capture", _STR, "", "key", "SHA-256 of the capture file as hex"),
    Column("flow_id", _I64, "", "key", "number of the flow in its capture, in order of first packets"),
    Column("proto", _STR, "", "key", "tcp or udp"),
    Column("ip_version", _U8, "", "key", "4 or 6"),
    Column("src", _STR, "", "key", "initiator's address as text"),
    Column("sport", _U16, "", "key", "initiator's port"),
    Column("dst", _STR, "", "key", "responder's address as text"),
    Column("dport", _U16, "", "key", "responder's port"),
    Column("linktype", _I32, "", "key", "pcap link type (LINKTYPE_*) of the first packet"),
    Column("t_first_ns", _I64, "ns since 1970", "times", "time of the first packet"),
    Column("t_last_ns", _I64, "ns since 1970", "times", "time of the last packet"),
    *_both("packets", _I64, "packets", "counters", "packets, empty ones included"),
    *_both("payload_packets", _I64, "packets", "counters", "packets that carry payload"),
    *_both("bytes", _I64, "bytes", "counters", "TCP or UDP payload, retransmissions included"),
    *_both("ip_bytes", _I64, "bytes", "counters", "IP datagrams, headers included"),
    *_both("header_bytes", _I64, "bytes", "counters", "IP and TCP or UDP headers"),
    Column("pkt_dir", pa.list_(_I8), "+1 c2s, -1 s2c", "packets", "direction of each of the first N packets"),
    Column("pkt_len", pa.list_(_I32), "bytes", "packets",
           "payload on the wire (a snap length cuts only pkt_payload)"),
    Column("pkt_ip_len", pa.list_(_I32), "bytes", "packets", "IP datagram, header included"),
    Column("pkt_iat_ns", pa.list_(_I64), "ns", "packets",
           "time since the flow's previous packet; first 0, never below 0"),
    Column("pkt_flags", pa.list_(_U8), "bit field", "packets", "TCP flags FIN 1 ... CWR 128; 0 for UDP"),
    Column("pkt_payload_offset", pa.list_(_I32), "bytes", "packets",
           "frame bytes before the payload; -1 where IP fragments were joined"),
    Column("pkt_payload", pa.list_(_BYTES), "bytes", "payload",
           "captured payload: whole for the first packets that carry any, 32 bytes of later ones"),
    *_both("first_payload", _BYTES, "bytes", "payload", "first payload-bearing packet, whole as captured"),
    *_both("stream_head", _BYTES, "bytes", "payload",
           "first bytes of the reassembled TCP stream (up to its first gap), or of all UDP datagrams joined"),
    Column("is_tls", _BOOL, "", "tls", "a direction's stream begins with at least one whole TLS record"),
    Column("tls_dir", pa.list_(_I8), "+1 c2s, -1 s2c", "tls",
           "direction of each whole TLS record, by completion"),
    Column("tls_type", pa.list_(_U8), "", "tls",
           "content type: 20 CCS, 21 alert, 22 handshake, 23 application data"),
    Column("tls_len", pa.list_(_I32), "bytes", "tls",
           "length in the record header (5 header bytes not counted)"),
    Column("tls_t_ns", pa.list_(_I64), "ns since 1970", "tls",
           "time of the packet that completed the record"),
    *_both("tls_records", _I64, "records", "tls", "whole TLS records, beyond the listed ones too"),
    *_both("tls_end", _STR, "", "tls",
           "how record parsing ended: none (no stream, or it never was TLS), whole, partial (a record is "
           "incomplete), lost (bytes that are no record header), gap (missing stream bytes)"),
    Column("client_hello", _BYTES, "bytes", "hello", "ClientHello message with its 4-byte header"),
    Column("server_hello", _BYTES, "bytes", "hello",
           "first ServerHello message (also a HelloRetryRequest) with its 4-byte header"),
    Column("tls_record_version", _I32, "", "hello",
           "version in the header of the record that starts the ClientHello; -1 if none"),
    Column("tls_version", _I32, "", "hello",
           "version that the ServerHello selects (supported_versions first); -1 if none"),
    Column("tls_cipher", _I32, "", "hello", "cipher suite that the ServerHello selects; -1 if none"),
    Column("sni", _STR, "", "hello", "server name in the ClientHello, undecodable bytes as \\xNN"),
    Column("alpn", _STR, "", "hello", "ALPN names that the ClientHello offers, comma joined"),
    Column("alpn_selected", _STR, "", "hello", "ALPN name in the ServerHello (TLS 1.3 encrypts it: empty)"),
    Column("ja3", _STR, "", "fingerprint", "JA3 hash of the ClientHello, 32 hex digits"),
    Column("ja3s", _STR, "", "fingerprint", "JA3S hash of the ServerHello, 32 hex digits"),
    Column("ja4", _STR, "", "fingerprint", "JA4 of the ClientHello"),
    Column("ja4_r", _STR, "", "fingerprint", "JA4_r: the sorted raw lists that JA4 hashes"),
    Column("burst_dir", pa.list_(_I8), "+1 c2s, -1 s2c", "bursts",
           "direction of each of the first 50 bursts (payload packets in a row in one direction)"),
    Column("burst_bytes", pa.list_(_I64), "bytes", "bursts", "payload of the burst"),
    Column("burst_packets", pa.list_(_I32), "packets", "bursts", "payload-bearing packets of the burst"),
    Column("syn_seen", _BOOL, "", "tcp", "a SYN or SYN-ACK was captured"),
    Column("handshake_seen", _BOOL, "", "tcp",
           "SYN, SYN-ACK and the initiator's ACK were captured in this order"),
    Column("rtt_ns", _I64, "ns", "tcp", "time from the SYN-ACK to the ACK that answers it; -1 if unknown"),
    *_both("retransmitted", _I64, "packets", "tcp", "payload packets that bring no new stream byte"),
    *_both("out_of_order", _I64, "packets", "tcp", "payload packets that fill a hole behind a later one"),
    *_both("gap_bytes", _I64, "bytes", "tcp",
           "stream bytes that the capture lacks, as far as later packets show"),
    Column("fin_seen", _BOOL, "", "tcp", "a FIN was captured"),
    Column("rst_seen", _BOOL, "", "tcp", "an RST was captured"),
    Column("raw_frames", pa.list_(_BYTES), "bytes", "raw", "first frames as captured, from the link layer"),
    Column("raw_t_ns", pa.list_(_I64), "ns since 1970", "raw", "time of each raw frame"),
    Column("truncated", _BOOL, "", "damage",
           "the snap length cut a payload"),
)  # fmt: skip

SCHEMA: pa.Schema = pa.schema(
    [column.field for column in COLUMNS], metadata={"schema_version": str(SCHEMA_VERSION)}
)
GROUPS: dict[str, tuple[str, ...]] = {
    group: tuple(c.name for c in COLUMNS if c.group == group)
    for group in dict.fromkeys(c.group for c in COLUMNS)
}
KEY: tuple[str, ...] = GROUPS["key"]  # withheld from a detector unless it declares them

# Lists of one row whose lengths must be equal.
ALIGNED: tuple[tuple[str, ...], ...] = (
    (*GROUPS["packets"], "pkt_payload"),
    ("tls_dir", "tls_type", "tls_len", "tls_t_ns"),
    GROUPS["bursts"],
    GROUPS["raw"],
)


def empty() -> pd.DataFrame:
    """A flow table without flows."""
    flows: pd.DataFrame = SCHEMA.empty_table().to_pandas()
    return flows


def to_arrow(flows: pd.DataFrame) -> pa.Table:
    """The table in Arrow, checked; columns beyond the schema stay behind.

    Raises InputError when a column is missing, of another type, null, or out of step with its group.
    """
    missing = [name for name in SCHEMA.names if name not in flows.columns]
    if missing:
        raise InputError("flow table", f"the columns {', '.join(missing)}")
    arrays = [_column(flows, column) for column in COLUMNS]
    table = pa.Table.from_arrays(arrays, schema=SCHEMA)
    for group in ALIGNED:
        _check_aligned(table, group)
    return table


def _column(flows: pd.DataFrame, column: Column) -> pa.Array:
    try:
        array = pa.Array.from_pandas(flows[column.name], type=column.type)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
        raise InputError("flow table", f"{column.name} to be {column.type} ({error})") from error
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if array.null_count:
        raise InputError("flow table", f"{column.name} without nulls, not {array.null_count} of them")
    return array


def _check_aligned(table: pa.Table, group: tuple[str, ...]) -> None:
    lengths = pc.list_value_length(table[group[0]])
    for name in group[1:]:
        if not lengths.equals(pc.list_value_length(table[name])):
            raise InputError("flow table", f"{name} to hold as many items as {group[0]} in every row")


def check(flows: pd.DataFrame) -> pd.DataFrame:
    """Return `flows` unchanged, or raise InputError that names the column that breaks the schema."""
    to_arrow(flows)
    return flows


def to_parquet(flows: pd.DataFrame, path: str | PathLike[str]) -> None:
    """Write a checked table to Parquet, with `flows.attrs` (JSON values) in the file's metadata."""
    pq.write_table(with_attrs(to_arrow(flows), dict(flows.attrs)), path, compression="zstd")


def with_attrs(table: pa.Table, attrs: dict[Any, Any]) -> pa.Table:
    """The same table with `attrs` as JSON in its metadata, where `from_parquet` finds them."""
    return table.replace_schema_metadata(
        {**(table.schema.metadata or {}), ATTRS_KEY: json.dumps(attrs).encode()}
    )


def from_parquet(path: str | PathLike[str]) -> pd.DataFrame:
    """Read a flow table from Parquet. Raises InputError when it is none."""
    try:
        table = pq.ParquetFile(path).read()
    except pa.ArrowInvalid as error:
        raise InputError(path, f"a Parquet flow table ({error})") from error
    missing = [name for name in SCHEMA.names if name not in table.column_names]
    if missing:
        raise InputError(path, f"a flow table with the columns {', '.join(missing)}")
    flows: pd.DataFrame = table.to_pandas()
    flows.attrs = json.loads((table.schema.metadata or {}).get(ATTRS_KEY, b"{}"))
    return flows


def markdown() -> str:
    """The schema as a Markdown page, one table a group; docs/schema.md is this text."""
    lines = ["# The flow table", "", *_PREFACE, ""]
    for group, names in GROUPS.items():
        lines += [f"## {group}", "", "| column | Arrow type | unit | meaning |", "|---|---|---|---|"]
        rows = (column for column in COLUMNS if column.name in names)
        lines += [f"| `{c.name}` | {c.type} | {c.unit} | {c.meaning} |" for c in rows]
        lines.append("")
    return "\n".join(lines)


_PREFACE = (
    "Generated from `btresearch/flow/schema.py` by its `write_page`; edit the code, not this page.",
    "",
    "One row per bidirectional flow. c2s is from the initiator (the SYN's sender, else the first",
    "packet's sender), s2c back. No cell is null: what does not apply is empty, or -1 where the",
    "meaning says so. In pandas a list cell is a NumPy array; lists of one group have equal lengths.",
    "The `key` group is withheld from detectors that do not declare it.",
)


def write_page(path: str | PathLike[str]) -> None:
    """Write the schema page."""
    Path(path).write_text(markdown())
