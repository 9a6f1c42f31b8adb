"""The pcapng format (draft-ietf-opsawg-pcapng): sections, interfaces, packets and their comments."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from btresearch.capture.packet import MAX_PACKET_BYTES, MAX_T_NS, Packet
from btresearch.capture.stream import ByteStream

SECTION_HEADER = 0x0A0D0D0A
INTERFACE_DESCRIPTION = 1
PACKET = 2  # obsolete, still found in old files
SIMPLE_PACKET = 3
INTERFACE_STATISTICS = 5
ENHANCED_PACKET = 6
BYTE_ORDER_MAGIC = 0x1A2B3C4D

OPT_END = 0
OPT_COMMENT = 1
IF_TSRESOL = 9
IF_TSOFFSET = 14
ISB_IFRECV = 4
ISB_IFDROP = 5

MAX_BLOCK_BYTES = 16 << 20
"""Longest block that is read; Wireshark's limit too."""
MAX_INTERFACES = 65_536
"""Interfaces of one section; the obsolete packet block can't name more."""


@dataclass(slots=True)
class Interface:
    """What the file says of one interface; the counters come from its last statistics block."""

    linktype: int
    snaplen: int
    ticks_to_ns: Callable[[int], int]
    received: int | None = None
    dropped: int | None = None


@dataclass(slots=True)
class _Section:
    order: str
    interfaces: list[Interface] = field(default_factory=list)


class Blocks:
    """The packets of one pcapng stream; `interfaces` holds those of all sections so far."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._section = _Section("<")
        self.interfaces: list[Interface] = []

    def packets(self, first_type: bytes) -> Iterator[Packet]:
        """Yield the packets; the stream's first four bytes, `first_type`, were already taken.

        Simple packet blocks carry no time: their `t_ns` is 0. Raises `DamagedCapture` at the first block that
        is cut short, contradicts itself or breaks a bound.
        """
        kind: bytes | None = first_type
        while kind is not None:
            block_type = self._block_type(kind)
            body = self._body(block_type)
            if (parse := _PACKET_BLOCKS.get(block_type)) is not None:
                yield parse(self, body)
            elif block_type == INTERFACE_DESCRIPTION:
                self._describe(body)
            elif block_type == INTERFACE_STATISTICS:
                self._count(body)
            kind = self._stream.take_or_end(4, "a block type")

    def _block_type(self, kind: bytes) -> int:
        return int.from_bytes(kind, "little" if self._section.order == "<" else "big")

    def _body(self, block_type: int) -> bytes:
        """Take one block and return what lies between its two lengths."""
        stream = self._stream
        length_bytes = stream.take(4, "a block length")
        magic = b""
        if block_type == SECTION_HEADER:
            magic = stream.take(4, "the byte-order magic")
            self._begin_section(magic)
        (length,) = struct.unpack(self._section.order + "I", length_bytes)
        if length % 4 or not 12 + len(magic) <= length <= MAX_BLOCK_BYTES:
            bound = f"a block length from 12 to {MAX_BLOCK_BYTES}, a multiple of 4, not {length}"
            stream.fail("length", bound, back=4 + len(magic))
        body = stream.take(length - 12 - len(magic), "a block body")
        if stream.take(4, "a closing block length") != length_bytes:
            stream.fail("block", f"the block length {length} repeated", back=4)
        if block_type == SECTION_HEADER and body[:2] != struct.pack(self._section.order + "H", 1):
            stream.fail("format", "pcapng version 1", back=length - 12)
        return body

    def _begin_section(self, magic: bytes) -> None:
        for order in "<>":
            if magic == struct.pack(order + "I", BYTE_ORDER_MAGIC):
                self._section = _Section(order)
                return
        self._stream.fail("format", f"the byte-order magic {BYTE_ORDER_MAGIC:#x}, not {magic.hex()}", back=4)

    def _describe(self, body: bytes) -> None:
        order = self._section.order
        self._need(body, 8)
        linktype, snaplen = struct.unpack_from(order + "HxxI", body)
        if len(self._section.interfaces) >= MAX_INTERFACES:
            self._stream.fail("interface", f"at most {MAX_INTERFACES} interfaces in a section")
        interface = Interface(linktype, snaplen, _clock(dict(self._options(body, 8)), order))
        self._section.interfaces.append(interface)
        self.interfaces.append(interface)

    def _count(self, body: bytes) -> None:
        order = self._section.order
        self._need(body, 12)
        interface = self._interface(struct.unpack_from(order + "I", body)[0])
        options = dict(self._options(body, 12))
        if len(counter := options.get(ISB_IFRECV, b"")) == 8:
            interface.received = struct.unpack(order + "Q", counter)[0]
        if len(counter := options.get(ISB_IFDROP, b"")) == 8:
            interface.dropped = struct.unpack(order + "Q", counter)[0]

    def _enhanced(self, body: bytes) -> Packet:
        self._need(body, 20)
        number, high, low, captured, original = struct.unpack_from(self._section.order + "IIIII", body)
        return self._packet(number, high << 32 | low, captured, original, body)

    def _obsolete(self, body: bytes) -> Packet:
        self._need(body, 20)
        number, high, low, captured, original = struct.unpack_from(self._section.order + "HxxIIII", body)
        return self._packet(number, high << 32 | low, captured, original, body)

    def _simple(self, body: bytes) -> Packet:
        self._need(body, 4)
        (original,) = struct.unpack_from(self._section.order + "I", body)
        interface = self._interface(0)
        captured = min(original, interface.snaplen or original)
        if captured > min(len(body) - 4, MAX_PACKET_BYTES):
            self._stream.fail("length", f"{captured} packet bytes within the block", back=len(body) + 4)
        return Packet(0, body[4 : 4 + captured], original, interface.linktype)

    def _packet(self, number: int, ticks: int, captured: int, original: int, body: bytes) -> Packet:
        interface = self._interface(number)
        if captured > min(len(body) - 20, MAX_PACKET_BYTES):
            self._stream.fail("length", f"{captured} packet bytes within the block", back=len(body) + 4)
        if ticks >> 63:  # the draft says unsigned, but writers stamp times before 1970 in two's complement
            ticks -= 1 << 64
        t_ns = interface.ticks_to_ns(ticks)
        if not -MAX_T_NS <= t_ns <= MAX_T_NS:
            self._stream.fail("time", f"a time that fits 64 bits of ns, not {t_ns}", back=len(body) + 4)
        data, end = body[20 : 20 + captured], 20 + captured + (-captured & 3)
        comment = self._comment(body, end) if end < len(body) else None
        return Packet(t_ns, data, original, interface.linktype, comment)

    def _interface(self, number: int) -> Interface:
        if number >= len(self._section.interfaces):
            self._stream.fail("interface", f"interface {number} described before its use")
        return self._section.interfaces[number]

    def _comment(self, body: bytes, start: int) -> str | None:
        found = [value for code, value in self._options(body, start) if code == OPT_COMMENT]
        return b"\n".join(found).decode("utf-8", "replace") if found else None

    def _options(self, body: bytes, start: int) -> Iterator[tuple[int, bytes]]:
        header = struct.Struct(self._section.order + "HH")
        while start + 4 <= len(body):
            code, length = header.unpack_from(body, start)
            if code == OPT_END:
                return
            if start + 4 + length > len(body):
                self._stream.fail("block", f"{length} bytes of option {code} within the block", back=4)
            yield code, body[start + 4 : start + 4 + length]
            start += 4 + length + (-length & 3)

    def _need(self, body: bytes, size: int) -> None:
        if len(body) < size:
            self._stream.fail("length", f"a block body of at least {size} bytes", back=len(body) + 4)


_PACKET_BLOCKS: dict[int, Callable[[Blocks, bytes], Packet]] = {
    ENHANCED_PACKET: Blocks._enhanced,
    PACKET: Blocks._obsolete,
    SIMPLE_PACKET: Blocks._simple,
}


def _clock(options: dict[int, bytes], order: str) -> Callable[[int], int]:
    """Return the function from an interface's ticks to ns since the epoch, exact in integers."""
    resolution = options.get(IF_TSRESOL, b"\x06")[:1] or b"\x06"  # microseconds unless the file says more
    exponent = resolution[0] & 0x7F
    per_second = 2**exponent if resolution[0] & 0x80 else 10**exponent
    offset = options.get(IF_TSOFFSET, b"")
    offset_ns = struct.unpack(order + "q", offset)[0] * 1_000_000_000 if len(offset) == 8 else 0
    if per_second == 1_000_000_000:
        return lambda ticks: ticks + offset_ns
    return lambda ticks: ticks * 1_000_000_000 // per_second + offset_ns
