"""Sessions made by hand or at random, as the batches that the detector works on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st

from btresearch.detect.spid.packets import Packets
from tests.detect.spid.reference import Packet, Session


def session(*messages: tuple[int, bytes], header_bytes: int = 54) -> Session:
    """Packets of +1 (client) or -1 and payload, a millisecond apart."""
    return tuple(Packet(way > 0, payload, len(payload), header_bytes, 10**6) for way, payload in messages)


def batch(sessions: Sequence[Session]) -> Packets:
    """Sessions of at least one packet each, end to end."""
    every = [packet for one in sessions for packet in one]
    k = np.array([k for one in sessions for k in range(len(one))], np.int64)
    return Packets(
        row=np.repeat(np.arange(len(sessions)), [len(one) for one in sessions]),
        k=k,
        from_client=np.array([packet.from_client for packet in every], bool),
        length=np.array([packet.length_bytes for packet in every], np.int64),
        header=np.array([packet.header_bytes for packet in every], np.int64),
        gap_ns=np.where(k == 0, 0, np.array([packet.gap_ns for packet in every], np.int64)),
        payload=np.fromiter((packet.payload for packet in every), object, len(every)),
        sessions=len(sessions),
    )


# Few byte values and a repeated block, so that bytes, pairs and heads recur.
_PAYLOADS = st.one_of(
    st.binary(max_size=130),
    st.lists(st.sampled_from(b"\x00\x01\x10\x7f\x80\xff"), max_size=40).map(bytes),
    st.builds(lambda block, times: block * times, st.binary(min_size=1, max_size=6), st.integers(1, 300)),
)


@st.composite
def _packet(draw: st.DrawFn) -> Packet:
    payload = draw(_PAYLOADS)
    # Longer than what is kept where the capture was cut.
    length = max(1, len(payload) + draw(st.sampled_from([0, 0, 0, 1, 700, 4096, 70_000])))
    gap_ns = draw(st.one_of(st.integers(-(10**6), 10**6), st.integers(0, 60 * 10**9)))
    return Packet(
        draw(st.booleans()), payload, length, draw(st.sampled_from([0, 42, 54, 66, 99, 100, 120])), gap_ns
    )


SESSIONS = st.lists(st.lists(_packet(), min_size=1, max_size=14).map(tuple), min_size=1, max_size=4)


def unbatched(places: Sequence[int], packets: Packets, flows: int) -> list[Session]:
    """The sessions of a batch one by one; a flow without one gets an empty session."""
    sessions: list[list[Packet]] = [[] for _ in range(flows)]
    columns = packets.from_client, packets.payload, packets.length, packets.header, packets.gap_ns
    for row, way, payload, length, header, gap_ns in zip(packets.row, *columns, strict=True):
        sessions[places[row]].append(Packet(bool(way), payload, int(length), int(header), int(gap_ns)))
    return [tuple(one) for one in sessions]
