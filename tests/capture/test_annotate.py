"""Labels into comments: the right flow for every packet, and nothing lost on the way."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Ether

from btresearch.capture import FlowLabel, Packet, PcapngWriter, annotate, labels_frame, parse_comment, read
from btresearch.capture.annotate import EARLY_NS

SECOND_NS = 1_000_000_000
LINK = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
THERE = bytes(LINK / IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=4000, dport=6881))
BACK = bytes(LINK / IP(src="10.0.0.2", dst="10.0.0.1") / TCP(sport=6881, dport=4000))
DATAGRAM = bytes(LINK / IPv6(src="fd00::1", dst="fd00::2") / UDP(sport=5000, dport=53))
OTHER = bytes(LINK / ARP(hwsrc="02:00:00:00:00:01", psrc="10.0.0.1", pdst="10.0.0.2"))


def label(sample_id: int, **fields: object) -> FlowLabel:
    base = {"proto": "tcp", "src": "10.0.0.1", "sport": 4000, "dst": "10.0.0.2", "dport": 6881}
    kind = {"flow_class": "bittorrent", "transport": "mse_rc4", "client": "libtorrent"}
    return FlowLabel(**{**base, **kind, **fields}, sample_id=sample_id)  # type: ignore[arg-type]


UDP_LABEL = label(
    3, proto="udp", src="fd00::1", sport=5000, dst="fd00::2", dport=53, flow_class="cover", transport="other"
)


def annotated(packets: list[Packet], labels: list[FlowLabel]) -> list[Packet]:
    source, target = io.BytesIO(), io.BytesIO()
    with PcapngWriter(source) as writer:
        for packet in packets:
            writer.write(packet)
        writer.statistics(received=10, dropped=2, t_ns=1)
    result = annotate(io.BytesIO(source.getvalue()), labels_frame(labels), target)
    reader = read(io.BytesIO(target.getvalue()))
    found = list(reader)
    assert reader.dropped == 2
    assert result.labelled + result.unlabelled == len(packets)
    return found


def test_both_directions_get_the_comment_and_others_keep_theirs() -> None:
    packets = [Packet(n, data, len(data), 1) for n, data in enumerate([THERE, BACK, DATAGRAM])]
    packets.append(Packet(9, OTHER, len(OTHER), 1, "mine"))
    found = annotated(packets, [label(1), UDP_LABEL])
    assert [packet.comment for packet in found] == [
        "1,bittorrent,transport=mse_rc4,client=libtorrent",
        "1,bittorrent,transport=mse_rc4,client=libtorrent",
        "3,cover,transport=other,client=libtorrent",
        "mine",
    ]
    assert [packet._replace(comment=None) for packet in found] == [p._replace(comment=None) for p in packets]


def test_a_recurring_5_tuple_is_told_apart_by_time() -> None:
    first, second = label(1, t_first_ns=10 * SECOND_NS), label(2, t_first_ns=20 * SECOND_NS)
    times = [10 * SECOND_NS, 20 * SECOND_NS - EARLY_NS - 1, 20 * SECOND_NS - 1000, 25 * SECOND_NS, 1]
    found = annotated([Packet(t_ns, THERE, 60, 1) for t_ns in times], [second, first])
    samples = [parse_comment(packet.comment or "") for packet in found]
    assert [sample.sample_id for sample in samples if sample] == ["1", "1", "2", "2", "1"]


def test_an_empty_capture_stays_whole() -> None:
    assert annotated([], [label(1)]) == []


def test_tshark_shows_the_comments(tshark: str, tmp_path: Path) -> None:
    source, target = io.BytesIO(), tmp_path / "labelled.pcapng"
    with PcapngWriter(source) as writer:
        writer.write(Packet(SECOND_NS, THERE, len(THERE), 1))
    annotate(io.BytesIO(source.getvalue()), labels_frame([label(1)]), target)
    command = [tshark, "-r", target, "-T", "fields", "-e", "frame.comment"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1,bittorrent,transport=mse_rc4,client=libtorrent"
