"""Captures, what lies beside them, and what is read out of their packets."""

from __future__ import annotations

import gzip
import io
import tempfile
from functools import cache
from pathlib import Path

from btresearch.capture import Packet, read, write_pcap, write_pcapng
from btresearch.capture.comment import parse_comment
from btresearch.capture.labels import read_labels, write_labels
from btresearch.capture.manifest import Manifest, read_manifest
from btresearch.capture.template import Template
from btresearch.errors import InputError
from btresearch.flow import HelloError, parse_client_hello, parse_server_hello
from btresearch.flow.decode import Decoder, Tally
from btresearch.flow.reassembly import Reassembly
from btresearch.flow.tls import RecordParser
from btresearch.lab import scenario
from tests.capture.test_labels import ROW
from tests.fuzz.target import Target, as_file, as_text
from tests.fuzz.transports import _tls_wires

LINKS = (0, 1, 9, 12, 101, 108, 113, 228, 229, 276)


@cache
def _packets() -> list[Packet]:
    four, six = (
        Template("tcp", "192.0.2.1", 1, "192.0.2.2", 2),
        Template("udp", "2001:db8::1", 1, "2001:db8::2", 2),
    )
    hello = _tls_wires()[0][0][:600]
    frames = [four.segment((1, 1), 0x18, (1, 1), hello), six.datagram(b"d1:ad2:id20:")]
    return [Packet(1_700_000_000 * 10**9 + n, data, len(data), 1, "1,label") for n, data in enumerate(frames)]


@cache
def _captures() -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        pcap, pcapng = Path(folder, "a.pcap"), Path(folder, "a.pcapng")
        write_pcap(pcap, _packets())
        write_pcapng(pcapng, _packets())
        return [pcap.read_bytes(), pcapng.read_bytes(), gzip.compress(pcapng.read_bytes())]


def capture(data: bytes) -> None:
    """Every packet that it gives is decoded."""
    decoder = Decoder(Tally())
    for packet in read(io.BytesIO(data)):
        decoder.decode(packet)
    decoder.finish()


def frame(data: bytes) -> None:
    """One frame of every link type."""
    decoder, reassembly = Decoder(Tally()), Reassembly()
    for number, linktype in enumerate(LINKS):
        found = decoder.decode(Packet(number, data, len(data), linktype))
        if found is not None:
            reassembly.segment(number, data, len(data), number)
    reassembly.flush()
    decoder.finish()


def records(data: bytes) -> None:
    """A TLS stream in two chunks, with a hole between them."""
    for gap_bytes in (0, 7):
        parser, cut = RecordParser(), len(data) // 2
        parser.feed(data[:cut], 1)
        parser.skip(gap_bytes, 2)
        parser.feed(data[cut:], 3)
        assert isinstance(parser.end, str)


@cache
def _labels() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "labels.parquet")
        write_labels([ROW], path)
        return path.read_bytes()


def _client_hellos() -> list[bytes]:
    wires = _tls_wires()[0]
    return [wire[5 : 5 + int.from_bytes(wire[3:5], "big")] for wire in wires]


def _server_hellos() -> list[bytes]:
    wires = _tls_wires()[1]
    return [wire[5 : 5 + int.from_bytes(wire[3:5], "big")] for wire in wires]


MANIFEST = Manifest(
    scenario="s", kind="wire", sha256="00", packets=3, tools={"tcpdump": "4.99"}, notes=("a note",), dropped=1
)

TARGETS = {
    "capture": Target(capture, _captures, (InputError,)),
    "frame": Target(frame, lambda: [packet.data for packet in _packets()]),
    "tls_records": Target(records, lambda: _tls_wires()[0] + _tls_wires()[1]),
    "client_hello": Target(parse_client_hello, _client_hellos, (HelloError,)),
    "server_hello": Target(parse_server_hello, _server_hellos, (HelloError,)),
    "comment": Target(lambda data: parse_comment(as_text(data)), lambda: [b"7,bittorrent,shape=none"]),
    "labels": Target(
        lambda data: read_labels(as_file(data, "labels.parquet")), lambda: [_labels()], (InputError,)
    ),
    "manifest": Target(
        lambda data: read_manifest(as_file(data, "manifest.toml")),
        lambda: [MANIFEST.to_toml().encode()],
        (InputError,),
    ),
    "scenario": Target(
        lambda data: scenario.loads(data.decode("latin-1")),
        lambda: [scenario.dumps(scenario.find("cover_bulk")).encode()],
        (InputError,),
    ),
}
