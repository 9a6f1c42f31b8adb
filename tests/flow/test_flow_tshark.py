"""The flow table against tshark: conversations, packets, bytes, TLS records, JA3 and JA3S."""

from __future__ import annotations

import random
import ssl
from pathlib import Path

import pandas as pd
import pytest

from btresearch import flow
from tests.flow.tshark import Stream, streams
from tests.flow.wire import C2S, S2C, connection, ethernet, over_ipv6, tls_exchange, write

FOREVER_S = 1e11  # tshark's conversations do not time out, not even over bogus time stamps
SHARED_TLS = (
    "tls-web/FoxIO-LLC_ja4__browsers-x509.pcapng",
    "tls-web/FoxIO-LLC_ja4__http2-with-cookies.pcapng",
    "tls-web/zeek_zeek__tls13draft16-ff52.a01.pcap",
    "tls-web/cloudflare_mitmengine__handshake_8.pcap",
    "robustness/boundary_wireshark__test.cap",
    "robustness/zeek_zeek__ipv6-http-atomic-frag.pcap",
    "robustness/cisco_mercury__pppoe_double_vlan_tagging.pcap",
    "robustness/arkime_arkime__034b9b02_SampleCapture.pcap",
    "robustness/seladb_PcapPlusPlus__pcapng-example.pcapng",
)


def assert_equal(flows: pd.DataFrame, theirs: list[Stream], *, tls: bool = True) -> None:
    ours = list(flows[flows.proto == "tcp"].itertuples())
    assert len(ours) == len(theirs)
    for row, stream in zip(ours, theirs, strict=True):
        ends = {1: (row.src, row.sport), -1: (row.dst, row.dport)}
        assert stream.ends <= set(ends.values())
        assert stream.packets == row.packets_c2s + row.packets_s2c
        assert [stream.bytes[ends[1]], stream.bytes[ends[-1]]] == [row.bytes_c2s, row.bytes_s2c]
        if tls:
            for way, sender in ends.items():
                assert list(row.tls_len[row.tls_dir == way]) == stream.records[sender]
            assert stream.ja3 == {row.ja3} - {""}
            assert not stream.ja3s or row.ja3s in stream.ja3s


@pytest.mark.parametrize("maximum", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_tls_connection(tmp_path: Path, tshark: str, maximum: ssl.TLSVersion) -> None:
    messages = [(C2S, bytes(100)), (S2C, bytes(70_000)), (C2S, bytes(20_000))]
    exchange = tls_exchange(messages, tmp_path, maximum=maximum)
    path = write(tmp_path / "x.pcap", ethernet(connection(exchange)))
    flows, theirs = flow.read(path), streams(tshark, path)
    assert_equal(flows, theirs)
    assert theirs[0].ja3 and theirs[0].ja3s
    kinds, counts = map(list, zip(*sorted(theirs[0].types.items()), strict=True))
    assert flows.tls_type[0].tolist().count(kinds[0]) == counts[0]
    assert sorted(set(flows.tls_type[0].tolist())) == kinds
    assert sum(counts) == len(flows.tls_type[0])


def test_reordered_and_repeated_segments(tmp_path: Path, tshark: str) -> None:
    exchange = tls_exchange([(S2C, bytes(60_000))], tmp_path)
    packets, rng = connection(exchange, isns=(2**32 - 200, 2**32 - 20_000)), random.Random(5)
    for _ in range(8):
        i = rng.randrange(5, len(packets) - 5)
        packets[i], packets[i + 1] = packets[i + 1], packets[i]
        packets.insert(i + 2, packets[i])
    path = write(tmp_path / "x.pcap", ethernet(packets))
    assert_equal(flow.read(path), streams(tshark, path))


def test_many_connections_over_ipv6_with_reused_ports(tmp_path: Path, tshark: str) -> None:
    packets = [
        over_ipv6(packet)
        for round_ in range(3)
        for port in range(2000, 2005)
        for packet in connection([(C2S, b"x" * port)], port=port, isns=(round_ * 9999, port))
    ]
    path = write(tmp_path / "x.pcap", ethernet(packets))
    flows = flow.read(path)
    assert len(flows) == 15
    assert_equal(flows, streams(tshark, path))


@pytest.mark.shared
@pytest.mark.parametrize("name", SHARED_TLS)
def test_captures_of_others(shared_pcaps: Path, tshark: str, name: str) -> None:
    flows = flow.read(shared_pcaps / name, tcp_idle_s=FOREVER_S)
    theirs = streams(tshark, shared_pcaps / name)
    starttls = "pcapng-example" in name  # tshark finds TLS behind MySQL's greeting; we only from the start
    assert_equal(flows, theirs, tls=not starttls)
