"""What other programs read from our files."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from scapy.utils import rdpcap

from btresearch.capture import Packet, PcapngWriter, read, write_pcap, write_pcapng
from btresearch.capture.packet import MAX_PACKET_BYTES
from btresearch.errors import BtresearchError

T_NS = 1_700_000_000_123_456_789
PACKETS = [
    Packet(T_NS + number, bytes(60 + number), 90 + number, 1, f"{number},cover") for number in range(5)
]


def fields(tshark: str, path: Path, *names: str) -> list[list[str]]:
    options = [part for name in names for part in ("-e", name)]
    done = subprocess.run(
        [tshark, "-r", path, "-T", "fields", *options], capture_output=True, text=True, check=True
    )
    return [line.split("\t") for line in done.stdout.splitlines()]


def test_tshark_sees_times_lengths_and_comments(tshark: str, tmp_path: Path) -> None:
    path = tmp_path / "five.pcapng"
    write_pcapng(path, PACKETS)
    found = fields(tshark, path, "frame.time_epoch", "frame.cap_len", "frame.len", "frame.comment")
    expected = [
        [f"1700000000.{123_456_789 + number}", str(60 + number), str(90 + number), f"{number},cover"]
        for number in range(5)
    ]
    assert found == expected


def test_capinfos_names_the_application_and_the_drops(tmp_path: Path) -> None:
    capinfos = shutil.which("capinfos")
    if capinfos is None:
        pytest.skip("capinfos is not here: install wireshark-common")
    path = tmp_path / "five.pcapng"
    with PcapngWriter(path, interface="veth0", comment="a scenario") as writer:
        for packet in PACKETS:
            writer.write(packet)
        writer.statistics(received=9, dropped=4, t_ns=T_NS)
    said = subprocess.run([capinfos, path], capture_output=True, text=True, check=True).stdout
    for expected in ("btresearch", "a scenario", "Name = veth0", "nanoseconds", "Number of stat entries = 1"):
        assert expected in said
    reader = read(path)
    assert len(list(reader)) == 5
    assert reader.dropped == 4
    assert reader.interfaces[0].received == 9


def test_scapy_reads_the_same_bytes(tmp_path: Path) -> None:
    for write in (write_pcap, write_pcapng):
        path = tmp_path / "five"
        write(path, PACKETS)
        found = rdpcap(str(path))
        assert [bytes(packet) for packet in found] == [packet.data for packet in PACKETS]
        # scapy keeps a time as a float or a decimal; to the microsecond is what both readers share.
        assert all(abs(int(found[n].time * 1_000_000) - PACKETS[n].t_ns // 1000) <= 1 for n in range(5))


def test_link_types_become_interfaces() -> None:
    file = io.BytesIO()
    mixed = [PACKETS[0], PACKETS[1]._replace(linktype=113), PACKETS[2]]
    write_pcapng(file, mixed)
    reader = read(io.BytesIO(file.getvalue()))
    assert list(reader) == mixed
    assert [interface.linktype for interface in reader.interfaces] == [1, 113]


def test_limits_are_errors() -> None:
    with pytest.raises(BtresearchError, match="longer than"):
        write_pcapng(io.BytesIO(), [Packet(0, bytes(MAX_PACKET_BYTES + 1), 0, 1)])
    with pytest.raises(BtresearchError, match="longer than"):
        write_pcapng(io.BytesIO(), [Packet(0, b"", 0, 1, "x" * 65_536)])
    with pytest.raises(BtresearchError, match="one link type"):
        write_pcap(io.BytesIO(), [PACKETS[0]._replace(linktype=113)])


def test_statistics_are_json() -> None:
    from btresearch.capture import Statistics

    assert json.loads(Statistics(written=3, received=4, dropped=1).to_json()) == {
        "written": 3, "received": 4, "dropped": 1, "oversize": 0, "unsummed": 0,
    }  # fmt: skip
