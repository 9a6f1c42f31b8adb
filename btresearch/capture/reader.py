"""Capture files in: pcap or pcapng, told apart by their first four bytes."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Literal

from btresearch.capture import pcap, pcapng
from btresearch.capture.packet import DamagedCapture, Packet
from btresearch.capture.stream import ByteStream, Source, opened, source_name

PCAPNG_MAGIC = pcapng.SECTION_HEADER.to_bytes(4, "little")  # a palindrome: equal in both byte orders

_log = logging.getLogger(__name__)


class Reader:
    """An iterator over the packets of one capture file, which remembers what was wrong with it.

    `damage` lists what ended the reading early; `count` the packets delivered; `interfaces` what a pcapng
    file says of its interfaces (with drop counters once their statistics block was read).
    """

    def __init__(self, source: Source, *, on_damage: Literal["raise", "stop"] = "raise") -> None:
        self.source, self.count = source_name(source), 0
        self.damage: list[DamagedCapture] = []
        self.interfaces: list[pcapng.Interface] = []
        self._raises = on_damage == "raise"
        self._packets = self._delivered(source)

    def __iter__(self) -> Iterator[Packet]:
        return self._packets

    def __next__(self) -> Packet:
        return next(self._packets)

    @property
    def dropped(self) -> int | None:
        """Packets that the capture lost, over all interfaces; None where the file doesn't say."""
        known = [interface.dropped for interface in self.interfaces if interface.dropped is not None]
        return sum(known) if known else None

    def _delivered(self, source: Source) -> Iterator[Packet]:
        try:
            with opened(source) as stream:
                for packet in self._of_format(stream):
                    self.count += 1
                    yield packet
        except DamagedCapture as damage:
            self.damage.append(damage)
            if self._raises:
                raise
            _log.warning("%s (%d packets before it)", damage, self.count)

    def _of_format(self, stream: ByteStream) -> Iterator[Packet]:
        magic = stream.take(4, "a pcap or pcapng file")
        if magic == PCAPNG_MAGIC:
            blocks = pcapng.Blocks(stream)
            self.interfaces = blocks.interfaces
            return blocks.packets(magic)
        if magic not in pcap.MAGICS:
            stream.fail("format", f"a pcap or pcapng file, not one that begins with {magic.hex()}", back=4)
        return pcap.packets(stream, magic)


def read(source: Source, *, on_damage: Literal["raise", "stop"] = "raise") -> Reader:
    """Read the packets of a capture file in their order.

    `source` is a path, "-" (standard input) or an open binary file; gzip is undone. A damaged file yields
    every packet before the damage; then `on_damage="raise"` raises `DamagedCapture` (an `InputError`), and
    "stop" ends the iteration. Both leave the damage in the reader's `damage` list.

    Raises `DamagedCapture`, and OSError where the file can't be opened.
    """
    return Reader(source, on_damage=on_damage)
