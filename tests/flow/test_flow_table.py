"""Captures to the flow table: who initiated, where flows split, every column of a known exchange."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch import flow
from btresearch.errors import InputError
from btresearch.flow import schema
from tests.flow.wire import (
    C2S,
    CLIENT,
    MSS,
    S2C,
    SERVER,
    STEP_NS,
    T0_NS,
    connection,
    ethernet,
    joined,
    over_ipv6,
    record,
    records_of,
    tcp,
    tls_exchange,
    udp,
    write,
)

HELLO = b"\x13BitTorrent protocol" + bytes(48)
EXCHANGE = [(C2S, HELLO), (S2C, HELLO), (S2C, b"\xaa" * 4000), (C2S, b"\x00\x00\x00\x01\x02")]
LISTS = ("pkt_dir", "pkt_len", "pkt_flags", "tls_dir", "tls_type", "tls_len", "burst_dir", "burst_bytes")
STREAMS = ("stream_head_c2s", "stream_head_s2c", "client_hello", "server_hello", "ja3", "ja3s", "ja4")


def one(flows: pd.DataFrame) -> pd.Series:
    assert len(flows) == 1
    return flows.iloc[0]


def read_frames(folder: Path, frames: list[bytes], **options: int) -> pd.DataFrame:
    return flow.check(flow.read(write(folder / "x.pcap", frames), **options))


def test_a_tcp_connection_in_every_group(tmp_path: Path) -> None:
    packets = connection(EXCHANGE)
    row = one(read_frames(tmp_path, ethernet(packets)))
    assert (row.src, row.sport, row.dst, row.dport) == (*CLIENT, *SERVER)
    assert (row.proto, row.ip_version, row.linktype, row.flow_id) == ("tcp", 4, 1, 0)
    assert (row.t_first_ns, row.t_last_ns) == (T0_NS, T0_NS + STEP_NS * (len(packets) - 1))
    assert row.packets_c2s + row.packets_s2c == len(packets) == len(row.pkt_dir)
    assert (row.bytes_c2s, row.bytes_s2c) == (len(HELLO) + 5, len(HELLO) + 4000)
    assert (row.payload_packets_c2s, row.payload_packets_s2c) == (2, 4)
    assert row.ip_bytes_c2s - row.header_bytes_c2s == row.bytes_c2s
    assert row.header_bytes_s2c == 40 * row.packets_s2c
    assert (row.first_payload_c2s, row.first_payload_s2c) == (HELLO, HELLO)
    assert row.stream_head_s2c == HELLO + b"\xaa" * 4000
    assert (row.syn_seen, row.handshake_seen, row.fin_seen, row.rst_seen) == (True, True, True, False)
    assert row.rtt_ns == STEP_NS
    assert not row.is_tls and (row.tls_end_c2s, row.tls_end_s2c) == ("none", "none")
    assert (row.truncated, row.gap_bytes_c2s, row.retransmitted_c2s, row.out_of_order_c2s) == (False, 0, 0, 0)


def test_packet_lists_follow_the_frames(tmp_path: Path) -> None:
    packets = connection(EXCHANGE)
    frames = ethernet(packets)
    row = one(read_frames(tmp_path, frames))
    assert list(row.pkt_dir[:5]) == [1, -1, 1, 1, -1]
    assert list(row.pkt_flags[:4]) == [0x02, 0x12, 0x10, 0x18]
    assert list(row.pkt_iat_ns) == [0] + [STEP_NS] * (len(packets) - 1)
    for i, frame in enumerate(frames):
        offset, size = row.pkt_payload_offset[i], row.pkt_len[i]
        assert row.pkt_payload[i] == frame[offset : offset + size]
        assert row.pkt_ip_len[i] == offset - 14 + size
        assert row.raw_frames[i] == frame
    assert list(row.burst_dir) == [1, -1, 1]
    assert list(row.burst_bytes) == [len(HELLO), len(HELLO) + 4000, 5]
    assert list(row.burst_packets) == [1, 4, 1]


def test_lists_have_the_documented_types(tmp_path: Path) -> None:
    row = one(read_frames(tmp_path, ethernet(connection(EXCHANGE))))
    types = {"pkt_dir": np.int8, "pkt_len": np.int32, "pkt_iat_ns": np.int64, "pkt_flags": np.uint8}
    assert {name: row[name].dtype.type for name in types} == types
    assert all(isinstance(payload, bytes) for payload in row.pkt_payload)


def test_options_bound_what_is_kept(tmp_path: Path) -> None:
    frames = ethernet(connection([(C2S, bytes(60 * MSS)), (S2C, b"ok")]))
    row = one(read_frames(tmp_path, frames, packets=20, payload_packets=2, head_bytes=1000, raw_frames=3))
    assert (len(row.pkt_dir), len(row.raw_frames), len(row.stream_head_c2s)) == (20, 3, 1000)
    kept = [len(payload) for payload in row.pkt_payload if payload]
    assert kept == [MSS, MSS] + [32] * (len(kept) - 2)
    assert row.bytes_c2s == 60 * MSS


def test_only_fifty_bursts_are_listed(tmp_path: Path) -> None:
    exchange = [(C2S, b"abc"), (S2C, b"de")] * 40
    row = one(read_frames(tmp_path, ethernet(connection(exchange))))
    assert list(row.burst_bytes) == [3, 2] * 25
    assert list(row.burst_packets) == [1] * 50


def test_the_receiver_of_a_syn_ack_initiated(tmp_path: Path) -> None:
    row = one(read_frames(tmp_path, ethernet(connection(EXCHANGE)[1:])))
    assert (row.src, row.sport) == CLIENT
    assert (row.syn_seen, row.handshake_seen, row.rtt_ns) == (True, False, STEP_NS)


def test_without_a_syn_the_first_sender_initiated(tmp_path: Path) -> None:
    row = one(read_frames(tmp_path, ethernet([tcp(S2C, "PA", 5, 5, b"x"), tcp(C2S, "A", 5, 6)])))
    assert (row.src, row.sport, row.syn_seen, row.rtt_ns) == (*SERVER, False, -1)


@pytest.mark.parametrize(("isns", "count"), [((5000, 6000), 2), ((1000, 9000), 1)])
def test_a_new_syn_starts_a_flow_and_a_repeated_one_does_not(
    tmp_path: Path, isns: tuple[int, int], count: int
) -> None:
    packets = connection([(C2S, b"one")]) + connection([(C2S, b"two")], isns=isns)[:1]
    flows = read_frames(tmp_path, ethernet(packets))
    assert len(flows) == count
    assert list(flows.flow_id) == list(range(count))


def test_an_unfinished_connection_ends_with_another_syn(tmp_path: Path) -> None:
    packets = connection([(C2S, b"one")])[:5] + connection([(C2S, b"two")], isns=(7777, 8888))
    flows = read_frames(tmp_path, ethernet(packets))
    assert list(flows.stream_head_c2s) == [b"one", b"two"]


@pytest.mark.parametrize(("proto", "idle_s"), [("tcp", 300), ("udp", 60)])
def test_an_idle_flow_ends(tmp_path: Path, proto: str, idle_s: int) -> None:
    packet = udp(C2S, b"x") if proto == "udp" else tcp(C2S, "PA", 5, 5, b"x")
    frames = ethernet([packet] * 3)
    late = T0_NS + idle_s * 10**9
    path = write(tmp_path / "idle.pcap", frames, times_ns=[T0_NS, late, 2 * late - T0_NS + 1])
    assert list(flow.read(path).packets_c2s) == [2, 1]
    assert len(flow.read(path, **{f"{proto}_idle_s": 1000.0})) == 1


def test_udp_datagrams_make_a_flow(tmp_path: Path) -> None:
    row = one(read_frames(tmp_path, ethernet([udp(C2S, b"d1:ad"), udp(S2C, b"d1:rd"), udp(C2S, b"more")])))
    assert (row.proto, row.stream_head_c2s, row.stream_head_s2c) == ("udp", b"d1:admore", b"d1:rd")
    assert (row.is_tls, row.header_bytes_c2s, list(row.pkt_flags)) == (False, 56, [0, 0, 0])


def test_ipv6_addresses_are_text(tmp_path: Path) -> None:
    row = one(read_frames(tmp_path, ethernet(over_ipv6(packet) for packet in connection(EXCHANGE))))
    assert (row.ip_version, row.src, row.dst) == (6, "2001:db8::1", "2001:db8::2")


def test_tls_records_and_hellos(tmp_path: Path) -> None:
    exchange = tls_exchange([(C2S, b"GET /"), (S2C, bytes(50_000))], tmp_path)
    row = one(read_frames(tmp_path, ethernet(connection(exchange))))
    for way, name in ((C2S, "c2s"), (S2C, "s2c")):
        mine = row.tls_dir == way
        wanted = records_of(joined(exchange, way))
        assert list(zip(row.tls_type[mine], row.tls_len[mine], strict=True)) == wanted
        assert (row[f"tls_records_{name}"], row[f"tls_end_{name}"]) == (len(wanted), "whole")
    assert (row.is_tls, row.sni, row.alpn) == (True, "tracker.example", "h2,http/1.1")
    assert (row.tls_version, row.tls_record_version, row.alpn_selected) == (0x0304, 0x0301, "")
    assert row.client_hello == joined(exchange, C2S)[5 : 5 + len(row.client_hello)]
    assert row.ja4.startswith("t13d") and row.ja4_r.startswith(row.ja4[:10])
    assert len(row.ja3) == len(row.ja3s) == 32
    assert np.all(np.diff(row.tls_t_ns) >= 0)


def test_records_are_counted_beyond_the_list(tmp_path: Path) -> None:
    frames = ethernet(connection([(C2S, record(23, b"x") * 300)]))
    row = one(read_frames(tmp_path, frames, records=100))
    assert (len(row.tls_len), row.tls_records_c2s) == (100, 300)


def test_a_hello_that_does_not_parse_is_kept_and_counted(tmp_path: Path) -> None:
    message = b"\x01\x00\x00\x04\x03\x03ab"
    flows = read_frames(tmp_path, ethernet(connection([(C2S, record(22, message))])))
    assert (one(flows).client_hello, one(flows).ja4) == (message, "")
    assert flows.attrs["damage"] == {"client_hello": 1}


def test_a_snap_length_marks_the_flow(tmp_path: Path) -> None:
    frames = ethernet(connection([(C2S, bytes(3000))]))
    row = one(flow.read(write(tmp_path / "cut.pcap", frames, snap=96)))
    assert (row.truncated, row.bytes_c2s) == (True, 3000)
    assert row.gap_bytes_c2s == 3000 - sum(len(payload) for payload in row.pkt_payload)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32), mss=st.integers(200, 1448), isn=st.integers(0, 2**32 - 1))
def test_loss_and_reordering_do_not_change_streams_and_records(
    tmp_path_factory: pytest.TempPathFactory, seed: int, mss: int, isn: int
) -> None:
    folder, rng = tmp_path_factory.mktemp("order"), random.Random(seed)
    exchange = [(C2S, record(22, bytes(517)) + record(20, b"\1")), (S2C, record(23, bytes(9000)))]
    packets = connection(exchange, mss=mss, isns=(isn, isn ^ 0x5A5A))
    clean = one(read_frames(folder, ethernet(packets)))
    body = packets[3:-3]
    disturbed = body + rng.sample(body, 3)
    disturbed.sort(key=lambda packet: rng.random() * 3 + body.index(packet))
    shuffled = one(read_frames(folder, ethernet(packets[:3] + disturbed + packets[-3:])))
    assert shuffled.stream_head_c2s == clean.stream_head_c2s
    assert shuffled.stream_head_s2c == clean.stream_head_s2c
    for way in (C2S, S2C):
        assert list(shuffled.tls_len[shuffled.tls_dir == way]) == list(clean.tls_len[clean.tls_dir == way])
    assert shuffled.gap_bytes_c2s == shuffled.gap_bytes_s2c == 0


def test_every_packet_is_in_a_flow_or_counted(tmp_path: Path) -> None:
    frames = [*ethernet(connection(EXCHANGE)), bytes(60), b"", *ethernet([udp(C2S, b"x")])]
    flows = read_frames(tmp_path, frames)
    in_flows = int((flows.packets_c2s + flows.packets_s2c).sum())
    counted = sum(flows.attrs["skipped"].values()) + sum(flows.attrs["damage"].values())
    assert (flows.attrs["packets"], in_flows + counted) == (len(frames), len(frames))
    (facts,) = flows.attrs["captures"].values()
    assert (facts["packets"], facts["flows"], facts["error"]) == (len(frames), 2, "")


def test_a_file_that_breaks_off_gives_its_first_flows(tmp_path: Path) -> None:
    path = write(tmp_path / "x.pcap", ethernet(connection(EXCHANGE)))
    path.write_bytes(path.read_bytes()[:-10])
    flows = flow.read(path)
    assert flows.attrs["packets"] == len(connection(EXCHANGE)) - 1
    assert flows.attrs["damage"] == {"file_truncated": 1}


def test_what_is_no_capture_is_a_clear_error(tmp_path: Path) -> None:
    bad = tmp_path / "bad.pcap"
    bad.write_bytes(b"no capture at all")
    with pytest.raises(InputError, match=r"bad\.pcap: .*expected a pcap or pcapng file"):
        flow.read(bad)
    good = write(tmp_path / "good.pcap", ethernet(connection(EXCHANGE)))
    flows = flow.read([bad, good])
    assert len(flows) == 1
    assert [bool(facts["error"]) for facts in flows.attrs["captures"].values()] == [True, False]


@pytest.mark.parametrize(
    ("options", "message"), [({"engine": "tea"}, "one of dpkt"), ({"tea": 1}, "Options")]
)
def test_wrong_arguments_are_clear_errors(tmp_path: Path, options: dict[str, object], message: str) -> None:
    path = write(tmp_path / "x.pcap", ethernet(connection(EXCHANGE)))
    with pytest.raises(InputError, match=message):
        flow.read(path, **options)


def test_sources_file_folder_glob_and_list(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    first = write(run / "capture.pcapng", ethernet(connection(EXCHANGE)))
    write(run / "other.pcap", ethernet([udp(C2S, b"x")]))
    second = write(tmp_path / "two.pcap", ethernet([udp(C2S, b"y")]))
    assert list(flow.read(run).proto) == ["tcp"]
    assert list(flow.read(tmp_path).proto) == ["tcp", "udp", "udp"]
    assert list(flow.read(str(tmp_path / "*.pcap")).proto) == ["udp"]
    assert list(flow.read([second, first, second]).proto) == ["udp", "tcp"]
    with pytest.raises(InputError, match="a pattern that matches"):
        flow.read(str(tmp_path / "*.cap"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="or other captures"):
        flow.read(tmp_path / "empty")


def test_processes_do_not_change_the_answer(tmp_path: Path) -> None:
    for port in (1, 2, 3):
        write(tmp_path / f"{port}.pcap", ethernet(connection(EXCHANGE, port=port)))
    alone, together = flow.read(tmp_path), flow.read(tmp_path, jobs=2)
    assert schema.to_arrow(alone).equals(schema.to_arrow(together))
    assert alone.attrs == together.attrs


def test_batches_hold_the_same_flows(tmp_path: Path) -> None:
    packets = [packet for port in range(1, 30) for packet in connection([(C2S, bytes([port]))], port=port)]
    path = write(tmp_path / "x.pcap", ethernet(packets))
    batches = flow.batches(path)
    ids = [flow_id for batch in batches for flow_id in batch["flow_id"].to_pylist()]
    assert sorted(ids) == list(flow.read(path).flow_id)
    assert batches.attrs == flow.read(path).attrs


def test_comments_stay_out_unless_asked_for(tmp_path: Path) -> None:
    from btresearch.capture import Packet
    from btresearch.flow import engine_dpkt
    from btresearch.flow.decode import Tally
    from btresearch.flow.rows import row as row_of

    frames = ethernet(connection(EXCHANGE))
    packets = [Packet(T0_NS + i, frame, len(frame), 1, "secret label") for i, frame in enumerate(frames)]
    (found,) = engine_dpkt.flows(packets, flow.Options(), Tally())
    assert row_of(found, "x", Tally().damage)["comment"] == "secret label"
    path = write(tmp_path / "x.pcap", frames)
    assert "comment" not in flow.read(path).columns
    assert list(flow.read(path, labels=True).comment) == [""]
    assert "comment" not in flow.SCHEMA.names
