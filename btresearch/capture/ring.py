"""A TPACKET_V3 receive ring: packets of one interface in memory shared with the kernel.

Layout and constants: linux/if_packet.h and Documentation/networking/packet_mmap.rst of the kernel.
"""

from __future__ import annotations

import array
import errno
import fcntl
import mmap
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from btresearch.capture.key import LINKTYPE_ETHERNET, LINKTYPE_RAW
from btresearch.capture.packet import Packet
from btresearch.errors import BtresearchError

SOL_PACKET = 263
PACKET_RX_RING, PACKET_STATISTICS, PACKET_VERSION = 5, 6, 10
TPACKET_V3 = 2
ETH_P_ALL = 0x0003
SO_ATTACH_FILTER = 26
SIOCGIFMTU = 0x8921
ARPHRD_ETHER, ARPHRD_LOOPBACK, ARPHRD_NONE = 1, 772, 0xFFFE
PACKET_OUTGOING = 4

TP_STATUS_USER = 1 << 0
TP_STATUS_CSUMNOTREADY = 1 << 3
TP_STATUS_VLAN_VALID = 1 << 4
TP_STATUS_VLAN_TPID_VALID = 1 << 6

FRAME_BYTES = 2048  # V3 packs frames by their own length; the kernel only wants it to divide a block
VLAN_TAG_BYTES = 4
LINK_HEADER_BYTES = 14

_LINKTYPES = {ARPHRD_ETHER: LINKTYPE_ETHERNET, ARPHRD_LOOPBACK: LINKTYPE_ETHERNET, ARPHRD_NONE: LINKTYPE_RAW}
_BLOCK = struct.Struct("=8xIIII")  # status, packets, offset of the first, bytes used
_FRAME = struct.Struct("=IIIIIIHHIIHH")  # struct tpacket3_hdr
_PKTTYPE_OFFSET = 48 + 10  # sll_pkttype in the sockaddr_ll behind the frame header

Instruction = tuple[int, int, int, int]
"""One classic BPF instruction: code, jt, jf, k."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RingShape:
    """How much the ring holds: `blocks` of `block_bytes`; a block is handed over `retire_ms` after its start."""

    blocks: int = 128
    block_bytes: int = 1 << 20
    retire_ms: int = 10


DEFAULT_SHAPE = RingShape()


@dataclass(slots=True)
class FrameCounts:
    """Oddities seen: frames above the MTU (segmentation offload) and frames without their checksum yet."""

    oversize: int = 0
    unsummed: int = 0


class Ring:
    """The ring of one interface, both directions, each packet once; `fileno` is readable when a block is ready.

    Raises `BtresearchError` where the interface or the right to capture (CAP_NET_RAW) is missing.
    """

    def __init__(
        self, interface: str, *, shape: RingShape = DEFAULT_SHAPE, program: Sequence[Instruction] = ()
    ) -> None:
        self._shape, self._next = shape, 0
        self._received = self._dropped = 0
        self.counts = FrameCounts()
        try:
            # No protocol until all is set up: not a packet comes in before the filter and the bind.
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        except PermissionError:
            raise BtresearchError(
                f"capturing on {interface} needs the right CAP_NET_RAW (root has it)"
            ) from None
        try:
            self._map = self._set_up(interface, program)
        except BaseException:
            self._socket.close()
            raise

    def _set_up(self, interface: str, program: Sequence[Instruction]) -> mmap.mmap:
        shape, size = self._shape, self._shape.blocks * self._shape.block_bytes
        frames = size // FRAME_BYTES
        request = struct.pack(
            "=7I", shape.block_bytes, shape.blocks, FRAME_BYTES, frames, shape.retire_ms, 0, 0
        )
        self._socket.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V3)
        self._socket.setsockopt(SOL_PACKET, PACKET_RX_RING, request)
        if program:
            _attach(self._socket, program)
        mapped = mmap.mmap(self._socket.fileno(), size)
        try:
            self.mtu_bytes = _mtu(self._socket, interface)
            self._socket.bind((interface, ETH_P_ALL))
        except OSError as error:
            mapped.close()
            if error.errno != errno.ENODEV:
                raise
            raise BtresearchError(f"no network interface {interface!r} in this namespace") from None
        hardware = self._socket.getsockname()[3]
        self.linktype = _LINKTYPES.get(hardware, -1)
        self._loopback = hardware == ARPHRD_LOOPBACK
        if self.linktype < 0:
            mapped.close()
            raise BtresearchError(
                f"{interface} has link type ARPHRD {hardware}; Ethernet, loopback and tun are known"
            )
        return mapped

    def fileno(self) -> int:
        """Return the socket's descriptor, for poll."""
        return self._socket.fileno()

    def take(self) -> bytes | None:
        """Copy the next full block out and give it back to the kernel at once; None when there is none."""
        start = self._next * self._shape.block_bytes
        status, _packets, _first, used = _BLOCK.unpack_from(self._map, start)
        if not status & TP_STATUS_USER:
            return None
        block = self._map[start : start + used]
        struct.pack_into("=I", self._map, start + 8, 0)
        self._next = (self._next + 1) % self._shape.blocks
        return block

    def packets(self, block: bytes) -> Iterator[Packet]:
        """Yield the packets of a block that `take` returned; a VLAN tag that the kernel took out is put back."""
        _status, count, offset, _used = _BLOCK.unpack_from(block)
        longest = self.mtu_bytes + LINK_HEADER_BYTES + VLAN_TAG_BYTES
        for _ in range(count):
            step, seconds, fraction_ns, captured, length, status, mac, _net, _hash, tci, tpid, _pad = (
                _FRAME.unpack_from(block, offset)
            )
            twice = self._loopback and block[offset + _PKTTYPE_OFFSET] == PACKET_OUTGOING
            if not twice:  # loopback shows each packet going out and coming in
                data = block[offset + mac : offset + mac + captured]
                self.counts.oversize += length > longest
                self.counts.unsummed += bool(status & TP_STATUS_CSUMNOTREADY)
                if status & TP_STATUS_VLAN_VALID:
                    data = _tagged(data, tci, tpid if status & TP_STATUS_VLAN_TPID_VALID else 0x8100)
                    length += VLAN_TAG_BYTES
                yield Packet(seconds * 1_000_000_000 + fraction_ns, data, length, self.linktype)
            offset += step

    def statistics(self) -> tuple[int, int]:
        """Return (packets that passed the filter, packets lost for want of room) since the ring was made."""
        # The kernel resets its counters at each call, and counts the lost ones among the received.
        received, dropped, _freezes = struct.unpack(
            "=III", self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 12)
        )
        self._received += received
        self._dropped += dropped
        return self._received, self._dropped

    def close(self) -> None:
        """Give the memory and the socket back."""
        self._map.close()
        self._socket.close()


def _tagged(data: bytes, tci: int, tpid: int) -> bytes:
    """Insert an IEEE 802.1Q tag behind the two addresses."""
    return data[:12] + struct.pack(">HH", tpid, tci) + data[12:]


def _mtu(sock: socket.socket, interface: str) -> int:
    request = struct.pack("16sI", interface.encode()[:15], 0) + bytes(20)  # struct ifreq
    return int(struct.unpack_from("I", fcntl.ioctl(sock, SIOCGIFMTU, request), 16)[0])


def _attach(sock: socket.socket, program: Sequence[Instruction]) -> None:
    """Attach a classic BPF program; the kernel wants its address (struct sock_fprog)."""
    code = array.array("B", b"".join(struct.pack("=HBBI", *instruction) for instruction in program))
    address, _length = code.buffer_info()
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("@HP", len(program), address))
