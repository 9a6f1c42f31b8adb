"""Packetised conversations, read back by dpkt and judged by tshark."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path

import dpkt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.capture import Conversation, Packet, Record, packetise, write_pcapng
from btresearch.capture.packetise import ACK, DELAYED_ACK_NS, FIN, PSH, RST, SYN
from btresearch.errors import BtresearchError

T_NS = 1_700_000_000_000_000_000
MS_NS = 1_000_000
FOUR = {"src": "10.0.0.1", "sport": 4000, "dst": "10.0.0.2", "dport": 6881}
SIX = {"src": "fd00::1", "sport": 4000, "dst": "fd00::2", "dport": 6881}


def conversation(
    records: list[Record], *, proto: str = "tcp", ends: dict[str, object] = FOUR, **more: object
) -> Conversation:
    return Conversation(proto=proto, **ends, records=records, opened_ns=T_NS, **more)  # type: ignore[arg-type]


def tcp_of(packet: Packet) -> tuple[str, dpkt.tcp.TCP]:
    ip = dpkt.ethernet.Ethernet(packet.data).data
    family = socket.AF_INET if len(ip.src) == 4 else socket.AF_INET6
    return ("c2s" if socket.inet_ntop(family, ip.src) in ("10.0.0.1", "fd00::1") else "s2c"), ip.data


def streams_of(packets: list[Packet]) -> dict[str, bytes]:
    """Reassemble by sequence number; a gap or an overlap fails."""
    streams, expected = {"c2s": b"", "s2c": b""}, {"c2s": -1, "s2c": -1}
    for packet in packets:
        direction, tcp = tcp_of(packet)
        if not tcp.flags & SYN:
            assert tcp.seq == expected[direction]
        streams[direction] += tcp.data
        expected[direction] = (tcp.seq + len(tcp.data) + bool(tcp.flags & (SYN | FIN))) & 0xFFFFFFFF
    return streams


writes = st.lists(
    st.tuples(
        st.integers(0, 90 * MS_NS), st.sampled_from(["c2s", "s2c"]), st.binary(min_size=1, max_size=5000)
    ),
    max_size=12,
)


@pytest.mark.parametrize("ends", [FOUR, SIX])
@settings(deadline=None, max_examples=40)
@given(writes=writes, closed_ms=st.none() | st.integers(0, 3000), aborted=st.booleans(), server=st.booleans())
def test_every_byte_arrives_once_in_order(
    ends: dict[str, object],
    writes: list[tuple[int, str, bytes]],
    closed_ms: int | None,
    aborted: bool,
    server: bool,
) -> None:
    t_ns, records = T_NS, []
    for gap_ns, direction, data in writes:
        t_ns += gap_ns
        records.append(Record(t_ns, direction, data))  # type: ignore[arg-type]
    closed_ns = None if closed_ms is None else t_ns + closed_ms * MS_NS
    one = conversation(
        records, ends=ends, closed_ns=closed_ns, aborted=aborted, closed_by="s2c" if server else "c2s"
    )
    packets = list(packetise([one]))
    found = streams_of(packets)
    for direction in ("c2s", "s2c"):
        assert found[direction] == b"".join(data for _, way, data in records if way == direction)
    times = [packet.t_ns for packet in packets]
    assert times == sorted(set(times))
    assert all(len(packet.data) <= 1514 for packet in packets)
    assert packets == list(packetise([one]))


def test_the_shape_of_a_connection() -> None:
    records = [Record(T_NS + MS_NS, "c2s", b"a" * 68), Record(T_NS + 100 * MS_NS, "s2c", b"b" * 5000)]
    packets = list(packetise([conversation(records, closed_ns=T_NS + 300 * MS_NS)]))
    found = [(direction, tcp.flags, len(tcp.data)) for direction, tcp in map(tcp_of, packets)]
    assert found == [
        ("c2s", SYN, 0), ("s2c", SYN | ACK, 0), ("c2s", ACK, 0),
        ("c2s", ACK | PSH, 68), ("s2c", ACK, 0),
        ("s2c", ACK, 1448), ("s2c", ACK, 1448), ("c2s", ACK, 0), ("s2c", ACK, 1448), ("s2c", ACK | PSH, 656),
        ("c2s", ACK, 0),
        ("c2s", FIN | ACK, 0), ("s2c", FIN | ACK, 0), ("c2s", ACK, 0),
    ]  # fmt: skip
    assert packets[4].t_ns - packets[3].t_ns == DELAYED_ACK_NS


def test_an_abort_is_one_reset() -> None:
    packets = list(packetise([conversation([], closed_ns=T_NS + MS_NS, aborted=True, closed_by="s2c")]))
    direction, tcp = tcp_of(packets[-1])
    assert (direction, tcp.flags, len(packets)) == ("s2c", RST | ACK, 4)


def test_conversations_are_merged_in_time_order() -> None:
    many = [
        conversation([Record(T_NS + (7 * n % 5) * MS_NS, "c2s", b"x")], ends={**FOUR, "sport": 4000 + n})
        for n in range(8)
    ]
    times = [packet.t_ns for packet in packetise(many)]
    assert times == sorted(times)
    assert len(times) == 8 * 5


@pytest.mark.parametrize("ends", [FOUR, SIX])
def test_datagrams(ends: dict[str, object]) -> None:
    records = [Record(T_NS, "c2s", b"query"), Record(T_NS, "s2c", b"answer")]
    packets = list(packetise([conversation(records, proto="udp", ends=ends)]))
    found = [dpkt.ethernet.Ethernet(packet.data).data.data for packet in packets]
    assert [bytes(udp.data) for udp in found] == [b"query", b"answer"]
    assert [(udp.sport, udp.dport) for udp in found] == [(4000, 6881), (6881, 4000)]
    assert packets[0].t_ns < packets[1].t_ns


def test_what_can_not_be_packets() -> None:
    big = conversation([Record(T_NS, "c2s", bytes(1500))], proto="udp")
    with pytest.raises(BtresearchError, match="1500 bytes"):
        list(packetise([big]))
    mixed = conversation([], ends={**FOUR, "dst": "fd00::2"})
    with pytest.raises(BtresearchError, match="IP versions"):
        list(packetise([mixed]))


def test_tshark_finds_no_fault(tshark: str, tmp_path: Path) -> None:
    records = [Record(T_NS + n * MS_NS, "s2c" if n % 3 else "c2s", bytes([n]) * 4000) for n in range(30)]
    path = tmp_path / "built.pcapng"
    ends = [{**FOUR}, {**SIX}]
    count = write_pcapng(
        path, packetise([conversation(records, ends=e, closed_ns=T_NS + 10**10) for e in ends])
    )
    checks = [part for proto in ("ip", "tcp") for part in ("-o", f"{proto}.check_checksum:TRUE")]
    good = "tcp.checksum.status == 1 && !tcp.analysis.flags && (ipv6 || ip.checksum.status == 1)"
    command = [tshark, *checks, "-r", path, "-Y", good, "-T", "fields", "-e", "frame.number"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert len(done.stdout.split()) == count


def test_the_bulk_path_keeps_up() -> None:
    records = [Record(T_NS + n * MS_NS, "s2c", bytes(16_384)) for n in range(300)]
    began = time.perf_counter()
    count = sum(1 for _ in packetise([conversation(records)]))
    rate = count / (time.perf_counter() - began)
    assert count > 5000
    assert rate > 20_000
