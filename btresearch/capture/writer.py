"""Capture files out: pcapng with ns times, comments and drop counters, and plain pcap."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from contextlib import ExitStack
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from btresearch import __version__
from btresearch.capture import pcap, pcapng
from btresearch.capture.packet import MAX_PACKET_BYTES, Packet
from btresearch.errors import BtresearchError

Target = str | PathLike[str] | BinaryIO
"""A path, or an open binary file (which stays open)."""

MAX_COMMENT_BYTES = 65_535
"""Longest pcapng option value (draft-ietf-opsawg-pcapng section 3.5: a 16-bit length)."""
BUFFER_BYTES = 1 << 20

SHB_HARDWARE, SHB_OS, SHB_USERAPPL = 2, 3, 4
IF_NAME = 2
_PADDING = (b"", b"\0", b"\0\0", b"\0\0\0")
_ENHANCED = struct.Struct("<IIIIIII")
_END_OF_OPTIONS = b"\0\0\0\0"


class PcapngWriter:
    """Writes one pcapng section, little-endian, times in ns (if_tsresol 9).

    An interface is described when a link type is first used. Use as a context manager, or call `close`.
    """

    def __init__(
        self,
        target: Target,
        *,
        linktype: int = 1,
        interface: str = "",
        application: str = f"btresearch {__version__}",
        comment: str = "",
    ) -> None:
        self._stack = ExitStack()
        self._file = _opened(target, self._stack)
        self._interface = interface
        self._numbers: dict[int, int] = {}
        self.count = 0
        options = _option(SHB_USERAPPL, application) + _option(pcapng.OPT_COMMENT, comment)
        header = struct.pack("<IHHq", pcapng.BYTE_ORDER_MAGIC, 1, 0, -1)
        self._file.write(_block(pcapng.SECTION_HEADER, header + _ended(options)))
        self._number(linktype)

    def write(self, packet: Packet) -> None:
        """Append one packet with its comment."""
        t_ns, data, orig_len, linktype, comment = packet
        number = self._numbers.get(linktype)
        if number is None:
            number = self._number(linktype)
        captured = len(data)
        if captured > MAX_PACKET_BYTES:
            raise BtresearchError(f"a packet of {captured} bytes is longer than {MAX_PACKET_BYTES}")
        options = _ended(_option(pcapng.OPT_COMMENT, comment)) if comment else b""
        padding = _PADDING[-captured & 3]
        length = 32 + captured + len(padding) + len(options)
        ticks = t_ns & 0xFFFF_FFFF_FFFF_FFFF
        head = _ENHANCED.pack(6, length, number, ticks >> 32, ticks & 0xFFFF_FFFF, captured, orig_len)
        self._file.write(b"".join((head, data, padding, options, length.to_bytes(4, "little"))))
        self.count += 1

    def statistics(self, *, received: int, dropped: int, t_ns: int, linktype: int | None = None) -> None:
        """Append an interface statistics block: packets that the interface saw and that the capture lost."""
        number = 0 if linktype is None else self._number(linktype)
        body = struct.pack("<III", number, t_ns >> 32, t_ns & 0xFFFF_FFFF)
        options = _option(pcapng.ISB_IFRECV, struct.pack("<Q", received))
        options += _option(pcapng.ISB_IFDROP, struct.pack("<Q", dropped))
        self._file.write(_block(pcapng.INTERFACE_STATISTICS, body + _ended(options)))

    def close(self) -> None:
        """Finish the file; a file object that the caller brought is flushed and stays open."""
        self._file.flush()
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _number(self, linktype: int) -> int:
        if linktype in self._numbers:
            return self._numbers[linktype]
        number = self._numbers[linktype] = len(self._numbers)
        options = _option(IF_NAME, self._interface) + _option(pcapng.IF_TSRESOL, b"\x09")
        body = struct.pack("<HHI", linktype, 0, MAX_PACKET_BYTES) + _ended(options)
        self._file.write(_block(pcapng.INTERFACE_DESCRIPTION, body))
        return number


def write_pcapng(target: Target, packets: Iterable[Packet]) -> int:
    """Write `packets` as one pcapng section and return their number; the link types are the packets'."""
    iterator = iter(packets)
    first = next(iterator, None)
    with PcapngWriter(target, linktype=first.linktype if first else 1) as writer:
        if first:
            writer.write(first)
        for packet in iterator:
            writer.write(packet)
        return writer.count


def write_pcap(target: Target, packets: Iterable[Packet], *, linktype: int = 1) -> int:
    """Write `packets` as a pcap file with ns times and return their number; comments are lost.

    Raises `BtresearchError` at a packet of another link type, which the format can't hold.
    """
    with ExitStack() as stack:
        file = _opened(target, stack)
        file.write(struct.pack("<IHHiIII", pcap.MAGIC_NS, 2, 4, 0, 0, MAX_PACKET_BYTES, linktype))
        count = 0
        for packet in packets:
            if packet.linktype != linktype:
                raise BtresearchError(f"pcap holds one link type: {linktype}, not {packet.linktype} too")
            seconds, fraction = divmod(packet.t_ns, 1_000_000_000)
            file.write(
                struct.pack("<IIII", seconds, fraction, len(packet.data), packet.orig_len) + packet.data
            )
            count += 1
        file.flush()
        return count


def _opened(target: Target, stack: ExitStack) -> BinaryIO:
    if isinstance(target, str | PathLike):
        return stack.enter_context(Path(target).open("wb", buffering=BUFFER_BYTES))
    return target


def _block(kind: int, body: bytes) -> bytes:
    length = struct.pack("<I", 12 + len(body))
    return struct.pack("<I", kind) + length + body + length


def _option(code: int, value: str | bytes) -> bytes:
    """Return one padded option; an empty value is left out."""
    raw = value.encode() if isinstance(value, str) else value
    if len(raw) > MAX_COMMENT_BYTES:
        raise BtresearchError(f"a pcapng option of {len(raw)} bytes is longer than {MAX_COMMENT_BYTES}")
    return struct.pack("<HH", code, len(raw)) + raw + _PADDING[-len(raw) & 3] if raw else b""


def _ended(options: bytes) -> bytes:
    return options + _END_OF_OPTIONS if options else b""
