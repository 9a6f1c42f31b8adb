"""Payload packets side by side."""

from __future__ import annotations

import numpy as np

from btresearch.detect.payloads import Payloads
from tests.detect.wire import flow, table, talk


def payloads(*rows, limit=10):
    return Payloads.of(table(rows), limit)


def test_packets_are_counted_per_flow_without_the_empty_ones():
    p = payloads(flow(**talk([(1, b"ab"), (-1, b"cde"), (1, b"f")])), flow(**talk([(-1, b"xyz")])), limit=2)
    assert p.row.tolist() == [0, 0, 1]
    assert p.k.tolist() == [0, 1, 0]
    assert p.way.tolist() == [1, -1, -1]
    assert p.length.tolist() == [2, 3, 3]
    assert p.payload == [b"ab", b"cde", b"xyz"]


def test_ports_are_the_packets_own_and_zero_where_unseen():
    rows = table([flow(sport=1000, dport=6881, **talk([(1, b"a"), (-1, b"b")]))])
    p = Payloads.of(rows, 5)
    assert p.sport.tolist() == [1000, 6881]
    assert p.dport.tolist() == [6881, 1000]
    assert Payloads.of(rows.drop(columns=["sport", "dport"]), 5).dport.tolist() == [0, 0]


def test_numbers_and_prefixes_end_where_the_packet_ends():
    p = payloads(flow(**talk([(1, b"\1\2\3\4"), (1, b"\1\2\3"), (1, b"\1")])))
    assert p.u32(0).tolist() == [0x01020304, -1, -1]
    assert p.u16(1).tolist() == [0x0203, 0x0203, -1]
    assert p.u8(0).tolist() == [1, 1, 1]
    assert p.starts(b"\1\2\3").tolist() == [True, True, False]
    assert p.starts(b"\0", at=1).tolist() == [False, False, False]  # padding is no byte of the packet
    assert p.starts(b"\3", at=2).tolist() == [True, True, False]


def test_contains_looks_only_where_it_is_told():
    p = payloads(flow(**talk([(1, b"needle"), (1, b"a needle")])))
    assert p.contains(b"needle").tolist() == [True, True]
    assert p.contains(b"needle", np.array([False, True])).tolist() == [False, True]


def test_a_cut_packet_keeps_its_length():
    row = flow(**talk([(1, bytes(100))]))
    row["pkt_payload"] = [payload[:32] for payload in row["pkt_payload"]]
    p = payloads(row)
    assert p.length.tolist() == [100]
    assert p.kept.tolist() == [32]
    assert p.u8(31).tolist() == [0]
    assert p.u8(32).tolist() == [-1]


def test_a_damaged_row_has_no_packets_and_spoils_no_other():
    broken, missing = flow(**talk([(1, b"ab")])), flow(**talk([(1, b"ab")]))
    broken["pkt_len"] = broken["pkt_len"][:1]
    missing["pkt_payload"] = None
    p = payloads(broken, missing, flow(**talk([(1, b"ab")])))
    assert p.row.tolist() == [2]


def test_no_flows_are_no_packets():
    assert len(payloads().payload) == 0
    assert payloads().head.shape[0] == 0
