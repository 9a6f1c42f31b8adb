"""Both formats in, from every kind of source, whole and damaged."""

from __future__ import annotations

import gzip
import io
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.capture import DamagedCapture, Packet, PcapngWriter, read, write_pcap, write_pcapng
from btresearch.capture.packet import MAX_PACKET_BYTES
from btresearch.capture.pcapng import MAX_BLOCK_BYTES
from btresearch.errors import InputError

T_NS = 1_700_000_000_123_456_789
DATA = bytes(range(61))

packets = st.builds(
    Packet,
    t_ns=st.integers(0, 2**63 - 1),
    data=st.binary(max_size=200),
    orig_len=st.integers(0, 2**32 - 1),
    linktype=st.sampled_from([1, 101, 113, 276]),
    comment=st.none() | st.text(st.characters(codec="utf-8"), min_size=1, max_size=40),
)


def pcap_bytes(order: str, magic: int, fraction: int, *, extra: bytes = b"", minor: int = 4) -> bytes:
    header = struct.pack(order + "IHHiIII", magic, 2, minor, 0, 0, 65_535, 1)
    return header + struct.pack(order + "IIII", 1_700_000_000, fraction, len(DATA), 99) + extra + DATA


def block(order: str, kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    length = struct.pack(order + "I", 12 + len(body))
    return struct.pack(order + "I", kind) + length + body + length


def section(order: str) -> bytes:
    return block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))


def interface(order: str, *, linktype: int = 1, snaplen: int = 0, options: bytes = b"") -> bytes:
    return block(order, 1, struct.pack(order + "HHI", linktype, 0, snaplen) + options)


def option(order: str, code: int, value: bytes) -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def enhanced(order: str, number: int, ticks: int, *, options: bytes = b"") -> bytes:
    head = struct.pack(order + "IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(DATA), 99)
    return block(order, 6, head + DATA + bytes(-len(DATA) % 4) + options)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("magic", "fraction", "extra", "t_ns"),
    [
        (0xA1B2C3D4, 123_456, b"", 1_700_000_000_123_456_000),
        (0xA1B23C4D, 123_456_789, b"", T_NS),
        (0xA1B2CD34, 123_456, bytes(8), 1_700_000_000_123_456_000),
    ],
)
def test_pcap_in_every_form(order: str, magic: int, fraction: int, extra: bytes, t_ns: int) -> None:
    found = list(read(io.BytesIO(pcap_bytes(order, magic, fraction, extra=extra))))
    assert found == [Packet(t_ns, DATA, 99, 1)]


def test_pcap_before_2_4_with_swapped_lengths() -> None:
    raw = pcap_bytes("<", 0xA1B2C3D4, 0, minor=3)
    swapped = raw[:32] + raw[36:40] + raw[32:36] + raw[40:]
    assert [len(packet.data) for packet in read(io.BytesIO(swapped))] == [len(DATA)]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("resolution", "offset_s", "ticks", "t_ns"),
    [
        (None, None, 1_700_000_000_123_456, 1_700_000_000_123_456_000),
        (9, None, T_NS, T_NS),
        (0, None, 1_700_000_000, 1_700_000_000_000_000_000),
        (12, None, 1_700_000_123_456_789_012, 1_700_000_123_456_789),
        (0x80 | 10, None, 1_700_000_000 * 1024 + 512, 1_700_000_000_500_000_000),
        (0x80 | 30, None, (1_700_000_000 << 30) + 1, 1_700_000_000_000_000_000),
        (9, 1_600_000_000, 5, 1_600_000_000_000_000_005),
        (9, -3, 4_000_000_000, 1_000_000_000),
        (6, None, 2**64 - 7, -7000),
    ],
)
def test_pcapng_clocks(
    order: str, resolution: int | None, offset_s: int | None, ticks: int, t_ns: int
) -> None:
    options = option(order, 9, bytes([resolution])) if resolution is not None else b""
    if offset_s is not None:
        options += option(order, 14, struct.pack(order + "q", offset_s))
    raw = section(order) + interface(order, options=options) + enhanced(order, 0, ticks)
    assert [packet.t_ns for packet in read(io.BytesIO(raw))] == [t_ns]


def test_pcapng_sections_of_both_orders_interfaces_and_old_blocks() -> None:
    simple = block("<", 3, struct.pack("<I", 99) + DATA)
    obsolete = block(">", 2, struct.pack(">HHIIII", 1, 0, 0, 7, len(DATA), 99) + DATA)
    unknown = block(">", 0x0BAD, b"who knows")
    raw = b"".join(
        [
            section("<"), interface("<", linktype=101, snaplen=len(DATA)), simple,
            section(">"), interface(">", linktype=113), interface(">", linktype=276), unknown, obsolete,
            enhanced(">", 0, 8, options=option(">", 1, b"one") + option(">", 2, bytes(4)) + option(">", 1, b"two")),
        ]
    )  # fmt: skip
    reader = read(io.BytesIO(raw))
    assert list(reader) == [
        Packet(0, DATA, 99, 101),
        Packet(7000, DATA, 99, 276),
        Packet(8000, DATA, 99, 113, "one\ntwo"),
    ]
    assert [entry.linktype for entry in reader.interfaces] == [101, 113, 276]
    assert reader.dropped is None


@settings(deadline=None, max_examples=60)
@given(st.lists(packets, max_size=8), st.booleans())
def test_pcapng_round_trip(expected: list[Packet], zipped: bool) -> None:
    file = io.BytesIO()
    assert write_pcapng(file, expected) == len(expected)
    raw = gzip.compress(file.getvalue(), 1) if zipped else file.getvalue()
    reader = read(io.BytesIO(raw))
    assert list(reader) == expected
    assert reader.count == len(expected)
    assert reader.damage == []


@settings(deadline=None, max_examples=30)
@given(st.lists(packets, max_size=5))
def test_pcap_round_trip(drawn: list[Packet]) -> None:
    limit_ns = 2**32 * 1_000_000_000  # seconds have 32 bits there
    expected = [one._replace(linktype=1, comment=None, t_ns=one.t_ns % limit_ns) for one in drawn]
    expected = [one._replace(orig_len=len(one.data)) for one in expected]
    file = io.BytesIO()
    write_pcap(file, expected)
    assert list(read(io.BytesIO(file.getvalue()))) == expected


def test_a_path_a_file_object_and_standard_input_read_alike(tmp_path: Path) -> None:
    path = tmp_path / "one.pcapng"
    write_pcapng(path, [Packet(T_NS, DATA, 99, 1)])
    with path.open("rb") as file:
        assert list(read(file)) == list(read(path))
        assert not file.closed
    memory = io.BytesIO(path.read_bytes())
    list(read(memory))
    assert not memory.closed
    code = "from btresearch.capture import read; import sys; sys.stdout.write(str(len(list(read('-')))))"
    done = subprocess.run(
        [sys.executable, "-c", code], input=path.read_bytes(), capture_output=True, check=True
    )
    assert done.stdout == b"1"


def small_files() -> dict[str, bytes]:
    pcap, pcapng = io.BytesIO(), io.BytesIO()
    few = [Packet(T_NS + number, DATA, 99, 1, "7,cover") for number in range(3)]
    write_pcap(pcap, few)
    with PcapngWriter(pcapng) as writer:
        for packet in few:
            writer.write(packet)
        writer.statistics(received=3, dropped=0, t_ns=T_NS)
    return {"pcap": pcap.getvalue(), "pcapng": pcapng.getvalue(), "gzip": gzip.compress(pcapng.getvalue())}


@pytest.mark.parametrize("kind", ["pcap", "pcapng", "gzip"])
def test_cut_at_every_byte_is_fewer_packets_and_never_silent(kind: str) -> None:
    whole = small_files()[kind]
    boundaries = []
    for size in range(len(whole)):
        reader = read(io.BytesIO(whole[:size]), on_damage="stop")
        found = list(reader)
        assert len(found) <= 3
        assert [packet.data for packet in found] == [DATA] * len(found)
        if not reader.damage:
            boundaries.append(size)
        else:
            with pytest.raises(InputError, match=r"byte [0-9]+: expected"):
                list(read(io.BytesIO(whole[:size])))
    # A cut between two blocks or records is a whole, shorter file; a gzip file has no such place.
    assert len(boundaries) == {"pcap": 3, "pcapng": 5, "gzip": 0}[kind]


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(["pcap", "pcapng", "gzip"]), st.data())
def test_flipped_bytes_end_in_packets_or_named_damage(kind: str, data: st.DataObject) -> None:
    raw = bytearray(small_files()[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    reader = read(io.BytesIO(bytes(raw)), on_damage="stop")
    assert len(list(reader)) <= 8
    assert all(isinstance(damage, DamagedCapture) and damage.offset is not None for damage in reader.damage)


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=64))
def test_bytes_that_are_no_capture(raw: bytes) -> None:
    with pytest.raises(DamagedCapture):
        list(read(io.BytesIO(raw)))


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b"", "format"),
        (b"GET ", "format"),
        (struct.pack("<IHHiIII", 0xA1B2C3D4, 1, 0, 0, 0, 0, 1), "format"),
        (pcap_bytes("<", 0xA1B2C3D4, 0)[:24] + struct.pack("<IIII", 0, 0, MAX_PACKET_BYTES + 1, 0), "length"),
        (struct.pack("<III", 0x0A0D0D0A, MAX_BLOCK_BYTES + 4, 0x1A2B3C4D), "length"),
        (struct.pack("<III", 0x0A0D0D0A, 28, 0x11223344), "format"),
        (section("<") + enhanced("<", 0, 1), "interface"),
        (section("<") + interface("<") + block("<", 6, bytes(16)), "length"),
        (section("<") + interface("<") + block("<", 6, struct.pack("<5I", 0, 0, 0, 5, 5)), "length"),
        (section("<") + interface("<", options=option("<", 9, b"\0")) + enhanced("<", 0, 2**62), "time"),
        (section("<") + interface("<")[:-4] + b"\0\0\0\0", "block"),
        (section("<").replace(b"\x01\0\0\0\xff", b"\x02\0\0\0\xff"), "format"),
        (section("<") + interface("<", options=struct.pack("<HH", 9, 500)), "block"),
        (gzip.compress(pcap_bytes("<", 0xA1B2C3D4, 0))[:-9], "gzip"),
    ],
)
def test_damage_is_named(raw: bytes, kind: str) -> None:
    reader = read(io.BytesIO(raw), on_damage="stop")
    list(reader)
    found = [damage.kind for damage in reader.damage]
    assert found == [kind] if raw else found == ["truncated"]


@pytest.mark.shared
def test_every_shared_capture_reads_to_its_end_or_to_named_damage(shared_pcaps: Path) -> None:
    files = [
        path
        for path in sorted(shared_pcaps.rglob("*"))
        if path.is_file() and path.suffix not in (".md", ".tsv")
    ]
    assert len(files) > 400
    readers = [read(path, on_damage="stop") for path in files]
    total = sum(1 for reader in readers for _ in reader)
    assert total > 100_000
    damaged = {damage.kind for reader in readers for damage in reader.damage}
    assert damaged <= {"truncated", "length", "format"}


@pytest.mark.shared
def test_capinfos_counts_the_same_packets(shared_pcaps: Path) -> None:
    capinfos = shutil.which("capinfos")
    if capinfos is None:
        pytest.skip("capinfos is not here: install wireshark-common")
    files = sorted(shared_pcaps.glob("robustness/*"))[::2] + sorted(shared_pcaps.glob("bt-*/*"))[::5]
    readers = {path: read(path, on_damage="stop") for path in files}
    ours = {str(path): str(sum(1 for _ in reader)) for path, reader in readers.items() if reader.source}
    whole = [str(path) for path, reader in readers.items() if not reader.damage]
    done = subprocess.run([capinfos, "-TrMmcQ", *whole], capture_output=True, text=True, check=False)
    theirs = dict(line.rsplit(",", 1) for line in done.stdout.replace('"', "").splitlines())
    assert len(theirs) > 50
    assert {path: ours[path] for path in theirs} == theirs
