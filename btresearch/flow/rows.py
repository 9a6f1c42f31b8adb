"""Finished flows to Arrow: one value a column for each flow, then record batches of the schema."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields
from typing import Any

import pyarrow as pa
from dpkt.utils import inet_to_str

from btresearch.flow.conversation import MAX_BURSTS, Conversation, Lists, Way
from btresearch.flow.decode import TCP
from btresearch.flow.hello import HelloError, parse_client_hello, parse_server_hello
from btresearch.flow.ja3 import ja3, ja3s
from btresearch.flow.ja4 import ja4, ja4_r
from btresearch.flow.schema import GROUPS, SCHEMA
from btresearch.flow.tls import CLIENT_HELLO, SERVER_HELLO

COMMENT = pa.field("comment", pa.string(), nullable=False, metadata={"group": "truth"})
_LISTS = tuple(item.name for item in fields(Lists))
Row = dict[str, Any]


def row(flow: Conversation, capture: str, damage: Counter[str]) -> Row:
    """The columns of one finished flow; hellos that don't parse are counted in `damage`."""
    values = _key(flow, capture)
    values |= _facts(flow)
    for name, way in (("c2s", flow.c2s), ("s2c", flow.s2c)):
        values |= {f"{column}_{name}": value for column, value in _way(way).items()}
    values |= {name: getattr(flow.lists, name) for name in _LISTS}
    values |= {name: values[name][:MAX_BURSTS] for name in GROUPS["bursts"]}
    return values | _hellos(flow, damage)


def batch(rows: list[Row], schema: pa.Schema = SCHEMA) -> pa.RecordBatch:
    """Rows to one record batch."""
    columns = [pa.array([values[field.name] for values in rows], field.type) for field in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _key(flow: Conversation, capture: str) -> Row:
    proto, src, sport, dst, dport = flow.key
    return {
        "capture": capture,
        "flow_id": flow.flow_id,
        "proto": "tcp" if proto == TCP else "udp",
        "ip_version": 4 if len(src) == 4 else 6,
        "src": inet_to_str(src),
        "sport": sport,
        "dst": inet_to_str(dst),
        "dport": dport,
        "linktype": flow.linktype,
    }


def _facts(flow: Conversation) -> Row:
    same = (
        "t_first_ns",
        "t_last_ns",
        "syn_seen",
        "handshake_seen",
        "rtt_ns",
        "fin_seen",
        "rst_seen",
        "truncated",
    )
    values: Row = {name: getattr(flow, name) for name in same}
    values["is_tls"] = bool(flow.c2s.tls_records or flow.s2c.tls_records)
    values["comment"] = flow.comment
    return values


def _way(way: Way) -> Row:
    return {
        "packets": way.packets,
        "payload_packets": way.payload_packets,
        "bytes": way.payload_bytes,
        "ip_bytes": way.ip_bytes,
        "header_bytes": way.header_bytes,
        "first_payload": way.first_payload,
        "stream_head": bytes(way.head),
        "tls_records": way.tls_records,
        "tls_end": way.tls.end,
        "retransmitted": way.stream.retransmitted,
        "out_of_order": way.stream.out_of_order,
        "gap_bytes": way.stream.gap_bytes,
    }


def _hellos(flow: Conversation, damage: Counter[str]) -> Row:
    """Columns of both hellos; a flow joined in its middle may have them the other way round."""
    values: Row = dict.fromkeys(("sni", "alpn", "alpn_selected", "ja3", "ja3s", "ja4", "ja4_r"), "")
    values |= dict.fromkeys(("client_hello", "server_hello"), b"")
    values |= dict.fromkeys(("tls_record_version", "tls_version", "tls_cipher"), -1)
    for way in (flow.s2c, flow.c2s):
        message = way.tls.hello.message
        if message[:1] == bytes([CLIENT_HELLO]):
            values |= {"client_hello": message, "tls_record_version": way.tls.version}
        elif message[:1] == bytes([SERVER_HELLO]):
            values["server_hello"] = message
    for name, parse in (("client_hello", _client_hello), ("server_hello", _server_hello)):
        if values[name]:
            try:
                values |= parse(values[name])
            except HelloError:
                damage[name] += 1
    return values


def _client_hello(message: bytes) -> Row:
    hello = parse_client_hello(message)
    return {
        "sni": _text(hello.server_name or b""),
        "alpn": ",".join(map(_text, hello.alpn)),
        "ja3": ja3(hello),
        "ja4": ja4(hello),
        "ja4_r": ja4_r(hello),
    }


def _server_hello(message: bytes) -> Row:
    hello = parse_server_hello(message)
    return {
        "tls_version": hello.selected_version,
        "tls_cipher": hello.cipher,
        "alpn_selected": _text(hello.alpn),
        "ja3s": ja3s(hello),
    }


def _text(name: bytes) -> str:
    return name.decode("ascii", "backslashreplace")
