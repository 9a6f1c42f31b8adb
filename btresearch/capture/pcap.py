"""The classic pcap format (draft-ietf-opsawg-pcap), in both byte orders and resolutions."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from btresearch.capture.packet import MAX_PACKET_BYTES, Packet
from btresearch.capture.stream import ByteStream

MAGIC_US = 0xA1B2C3D4
MAGIC_NS = 0xA1B23C4D
MAGIC_MODIFIED = 0xA1B2CD34  # Kuznetsov's patched libpcap of 1999: 8 more bytes in each record header
MAGICS = {
    magic.to_bytes(4, order) for magic in (MAGIC_US, MAGIC_NS, MAGIC_MODIFIED) for order in ("little", "big")
}
LINKTYPE_MASK = 0x03FF_FFFF  # the bits above tell the length of a frame check sequence


class _Form(NamedTuple):
    order: str
    fraction_ns: int
    record: struct.Struct
    swapped_lengths: bool
    linktype: int


def packets(stream: ByteStream, magic: bytes) -> Iterator[Packet]:
    """Yield the packets of a stream whose first four bytes, `magic`, were already taken.

    Raises `DamagedCapture` at a record that is cut short or longer than `MAX_PACKET_BYTES`.
    """
    form = _file_header(stream, magic)
    unpack, size, linktype, fraction_ns = (
        form.record.unpack,
        form.record.size,
        form.linktype,
        form.fraction_ns,
    )
    while (header := stream.take_or_end(size, "a record header")) is not None:
        seconds, fraction, captured, original = unpack(header)
        if form.swapped_lengths and captured > original:
            captured, original = original, captured
        if captured > MAX_PACKET_BYTES:
            stream.fail(
                "length", f"a captured length of at most {MAX_PACKET_BYTES}, not {captured}", back=size
            )
        data = stream.take(captured, "packet data")
        yield Packet(seconds * 1_000_000_000 + fraction * fraction_ns, data, original, linktype)


def _file_header(stream: ByteStream, magic: bytes) -> _Form:
    order = "<" if magic[0] in (0xD4, 0x4D, 0x34) else ">"
    (number,) = struct.unpack(order + "I", magic)
    major, minor, _zone, _accuracy, _snaplen, linktype = struct.unpack(
        order + "HHiIII", stream.take(20, "the pcap file header")
    )
    if major != 2:
        stream.fail("format", f"pcap version 2, not {major}.{minor}", back=20)
    record = order + ("IIII8x" if number == MAGIC_MODIFIED else "IIII")
    return _Form(
        order=order,
        fraction_ns=1 if number == MAGIC_NS else 1000,
        record=struct.Struct(record),
        swapped_lengths=minor < 4,  # writers before 2.4 disagreed about the order of the two lengths
        linktype=linktype & LINKTYPE_MASK,
    )
