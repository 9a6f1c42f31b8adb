"""Which packets of each flow SPID measures (SPID 0.4.6, TcpSession and UdpSession), for a whole table at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from btresearch.detect.cells import blob, items, vector
from btresearch.detect.spid.packets import Bools, Ints, Packets

FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10
IDLE_NS = 60 * 10**9
NUMBERS = ("pkt_dir", "pkt_flags", "pkt_iat_ns", "pkt_len", "pkt_payload_offset")
PAYLOAD = "pkt_payload"
COLUMNS = ("proto", *NUMBERS, PAYLOAD)
NEVER = np.iinfo(np.int64).max  # the place of a frame that does not come


@dataclass(frozen=True, eq=False)
class Frames:
    """The first frames of all flows laid end to end: `row` is the flow, `i` the frame's place in it."""

    row: Ints
    i: Ints
    way: Ints
    flags: Ints
    gap_ns: Ints
    length: Ints
    offset: Ints
    payload: npt.NDArray[np.object_]
    udp: Bools  # one entry per flow

    @classmethod
    def of(cls, flows: pd.DataFrame) -> Frames:
        """From a flow table; a flow whose lists differ in length, as in a damaged table, has no frames."""
        numbers = [_vectors(flows[name]) for name in NUMBERS]
        payloads = [_objects(cell) for cell in flows[PAYLOAD]]
        sizes = np.array([[len(cell) for cell in column] for column in (*numbers, payloads)], dtype=np.int64)
        whole = (sizes == sizes[0]).all(axis=0)
        count = np.where(whole, sizes[0], 0)
        row = np.repeat(np.arange(len(flows)), count)
        i = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
        way, flags, gap_ns, length, offset = (_joined(column, whole).astype(np.int64) for column in numbers)
        payload = _joined(payloads, whole).astype(object, copy=False)
        udp = (flows["proto"].astype(object) == "udp").to_numpy(dtype=bool)
        return cls(row, i, way, flags, gap_ns, length, offset, payload, udp)

    def first(self, which: Bools) -> Ints:
        """Place in its flow of the first frame where `which` holds, NEVER without one; one entry per flow."""
        place = np.full(len(self.udp), NEVER)
        found = np.flatnonzero(which)[::-1]  # backwards, so that the earliest is written last
        place[self.row[found]] = self.i[found]
        return place

    def at(self, column: Ints, place: Ints) -> Ints:
        """The column at that place of each flow, 0 where the place is NEVER."""
        values = np.zeros(len(place), np.int64)
        here = self.i == place[self.row]
        values[self.row[here]] = column[here]
        return values


def _vectors(column: pd.Series[Any]) -> Sequence[npt.NDArray[Any]]:
    cells = column.to_list()
    whole = all(isinstance(cell, np.ndarray) and cell.dtype.kind in "iu" for cell in cells)
    return cells if whole else [vector(cell) for cell in cells]


def _objects(cell: object) -> npt.NDArray[np.object_]:
    if isinstance(cell, np.ndarray):
        return cell.astype(object, copy=False)
    found = items(cell)
    return np.fromiter(found, dtype=object, count=len(found))


def _joined(cells: Sequence[npt.NDArray[Any]], whole: Bools) -> npt.NDArray[Any]:
    filled = [cell for cell, kept in zip(cells, whole, strict=True) if kept and len(cell)]
    return np.concatenate(filled) if filled else np.zeros(0, np.int64)


def measured(flows: pd.DataFrame, window: int, *, faithful: bool) -> tuple[Ints, Packets]:
    """The payload-bearing packets among the first `window` frames that count, of every flow.

    Every frame of the session counts towards the window, acknowledgements and handshake included.
    The faithful mode leaves out payload on FIN frames and keeps the length of the frame's headers,
    as the original does; the fixed mode measures that payload, and counts offsets from its start.

    Returns: the positions of the flows that have a session, and the packets of these sessions.
    """
    frames = Frames.of(flows)
    start, client = _openings(frames)
    begin = np.where(frames.udp, 0, _established(frames, start, client))
    stop = np.minimum(np.where(start < NEVER, start, 0) + window, frames.first(frames.gap_ns > IDLE_NS))
    client = np.where(_answered(frames, client, stop) | ~frames.udp, client, 0)
    inside = (frames.i >= begin[frames.row]) & (frames.i < stop[frames.row])
    inside &= ~_after_close(frames, inside, faithful=faithful)
    which = np.flatnonzero(inside & (frames.length > 0) & (client[frames.row] != 0))
    return _packets(frames, which, client, faithful=faithful)


def _openings(frames: Frames) -> tuple[Ints, Ints]:
    """Place of each session's first frame, and the client's direction (0: no session).

    A TCP session may begin at the SYN-ACK when the SYN was missed; the client is then its receiver.
    """
    start = frames.first(np.where(frames.udp[frames.row], frames.i == 0, frames.flags & SYN != 0))
    way, flags = frames.at(frames.way, start), frames.at(frames.flags, start)
    return start, np.where(~frames.udp & (flags & ACK != 0), -way, way)


def _established(frames: Frames, start: Ints, client: Ints) -> Ints:
    """Place after the client's ACK of the SYN-ACK (that frame itself is not measured), or NEVER."""
    begun = frames.i >= start[frames.row]
    ours = frames.way == client[frames.row]
    theirs = frames.way == -client[frames.row]
    syn, ack = frames.flags & SYN != 0, frames.flags & ACK != 0
    answered = frames.first(begun & syn & ack & theirs)
    established = frames.first((frames.i >= answered[frames.row]) & ours & ack & ~syn)
    reset = frames.first(begun & (frames.flags & RST != 0))
    return np.where(established < reset, established + (established < NEVER), NEVER)


def _answered(frames: Frames, client: Ints, stop: Ints) -> Bools:
    """Whether both ends send within the window, which is all that a UDP session asks for."""
    other = (frames.way != client[frames.row]) & (frames.i < stop[frames.row])
    return frames.first(other) < NEVER


def _after_close(frames: Frames, inside: Bools, *, faithful: bool) -> Bools:
    """Frames after the first RST or FIN+ACK, and that frame too if it is not measured."""
    rst = frames.flags & RST != 0
    closing = (rst | (frames.flags & (FIN | ACK) == FIN | ACK)) & inside & ~frames.udp[frames.row]
    close = frames.first(closing)[frames.row]
    return np.asarray((frames.i > close) | ((frames.i == close) & (rst | faithful)))


def _packets(frames: Frames, which: Ints, client: Ints, *, faithful: bool) -> tuple[Ints, Packets]:
    flow = frames.row[which]
    begins = np.diff(flow, prepend=-1) > 0
    first, row = np.flatnonzero(begins), np.cumsum(begins) - 1
    k = np.arange(len(which)) - first[row]
    clock_ns = np.cumsum(frames.gap_ns)[which]
    payload = frames.payload[which]
    if not set(map(type, payload.tolist())) <= {bytes}:
        payload = np.fromiter(map(blob, payload), dtype=object, count=len(payload))
    return flow[first], Packets(
        row=row,
        k=k,
        from_client=frames.way[which] == client[flow],
        length=frames.length[which],
        header=np.maximum(frames.offset[which], 0) if faithful else np.zeros(len(which), np.int64),
        gap_ns=np.where(k == 0, 0, np.diff(clock_ns, prepend=0)),
        payload=payload,
        sessions=len(first),
    )
