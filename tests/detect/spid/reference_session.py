"""Which packets of a flow SPID measures, frame by frame: slow, plain, and what the batches must equal."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from btresearch.detect.cells import blobs, text, vector
from tests.detect.spid.reference import Packet, Session

Ints = npt.NDArray[np.int64]

FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10
IDLE_NS = 60 * 10**9


class Frames(NamedTuple):
    """The first frames of one flow: the flow table's columns of these names."""

    proto: str
    pkt_dir: Ints
    pkt_flags: Ints
    pkt_iat_ns: Ints
    pkt_len: Ints
    pkt_payload_offset: Ints
    pkt_payload: list[bytes]

    @classmethod
    def of(cls, proto: object, *cells: object) -> Frames:
        """From the cells of a flow table."""
        *vectors, payload = cells
        dirs, flags, iats, lengths, offsets = map(vector, vectors)
        return cls(text(proto), dirs, flags, iats, lengths, offsets, blobs(payload))

    @property
    def aligned(self) -> bool:
        """Whether the lists are equally long, as in every checked flow table."""
        return len({len(cell) for cell in self[1:]}) == 1


def measured(frames: Frames, window: int, *, faithful: bool) -> Session:
    """The payload-bearing packets among the first `window` frames that count; empty: no session.

    Every frame of the session counts towards the window, acknowledgements and handshake included.
    The faithful mode leaves out payload on FIN frames and keeps the length of the frame's headers,
    as the original does; the fixed mode measures that payload, and counts offsets from its start.
    """
    if not frames.aligned:
        return ()
    measure = _udp if frames.proto == "udp" else _tcp
    return measure(frames, window, faithful)


def _first_idle(frames: Frames) -> int:
    """Index of the first frame after more than 60 s of silence, which is another session's."""
    late = np.flatnonzero(frames.pkt_iat_ns > IDLE_NS)
    return int(late[0]) if len(late) else len(frames.pkt_iat_ns)


def _session(frames: Frames, places: list[int], client: int, faithful: bool) -> Session:
    packets = []
    for before, i in zip([None, *places], places, strict=False):
        header = max(0, int(frames.pkt_payload_offset[i])) if faithful else 0
        gap_ns = 0 if before is None else int(frames.pkt_iat_ns[before + 1 : i + 1].sum())
        way = int(frames.pkt_dir[i]) == client
        packets.append(Packet(way, frames.pkt_payload[i], int(frames.pkt_len[i]), header, gap_ns))
    return tuple(packets)


def _udp(frames: Frames, window: int, faithful: bool) -> Session:
    stop = min(window, _first_idle(frames))
    ways = set(frames.pkt_dir[:stop].tolist())
    if len(ways) < 2:
        return ()
    client = int(frames.pkt_dir[0])
    length = frames.pkt_len[:stop].tolist()
    return _session(frames, [i for i, n in enumerate(length) if n > 0], client, faithful)


def _tcp(frames: Frames, window: int, faithful: bool) -> Session:
    flags = frames.pkt_flags.tolist()
    start = next((i for i, flag in enumerate(flags) if flag & SYN), None)
    if start is None:
        return ()
    # A session may begin at the SYN-ACK when the SYN was missed; the client is then its receiver.
    client = -int(frames.pkt_dir[start]) if flags[start] & ACK else int(frames.pkt_dir[start])
    established = _established(flags, frames.pkt_dir.tolist(), start, client)
    if established is None:
        return ()
    places = []
    for i in range(established + 1, min(start + window, _first_idle(frames))):
        closing = flags[i] & RST or (flags[i] & FIN and flags[i] & ACK)
        if frames.pkt_len[i] > 0 and not (closing and (faithful or flags[i] & RST)):
            places.append(i)
        if closing:
            break
    return _session(frames, places, client, faithful)


def _established(flags: list[int], dirs: list[int], start: int, client: int) -> int | None:
    """Index of the client's ACK of the SYN-ACK; that frame itself is not measured."""
    answered = False
    for i in range(start, len(flags)):
        if flags[i] & RST:
            return None
        if flags[i] & SYN and flags[i] & ACK and dirs[i] == -client:
            answered = True
        if answered and dirs[i] == client and flags[i] & ACK and not flags[i] & SYN:
            return i
    return None
