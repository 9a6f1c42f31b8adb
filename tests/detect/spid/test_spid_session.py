"""Which packets SPID measures."""

from __future__ import annotations

import numpy as np
import pytest

from btresearch.detect.spid.session import Frames, measured

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
OPENING = [(1, SYN, 0), (-1, SYN | ACK, 0), (1, ACK, 0)]


def frames(
    packets: list[tuple[int, int, int]], proto: str = "tcp", silence_before: int | None = None
) -> Frames:
    n = len(packets)
    gaps = np.full(n, 10**6, np.int64)
    if silence_before is not None:
        gaps[silence_before] = 61 * 10**9
    dirs, flags, lengths = (np.array(column, np.int64) for column in zip(*packets, strict=True))
    return Frames(proto, dirs, flags, gaps, lengths, np.full(n, 66), [bytes(length) for length in lengths])


def lengths(made: Frames, window: int = 20, *, faithful: bool = True) -> list[int]:
    return [packet.length_bytes for packet in measured(made, window, faithful=faithful)]


def test_measuring_starts_after_the_handshake():
    assert lengths(frames([*OPENING, (1, PSH | ACK, 100), (-1, ACK, 0), (-1, PSH | ACK, 200)])) == [100, 200]


def test_payload_on_the_frame_that_completes_the_handshake_is_not_measured():
    assert lengths(frames([*OPENING[:2], (1, PSH | ACK, 100), (1, PSH | ACK, 7)])) == [7]


@pytest.mark.parametrize(
    "packets",
    [
        [(1, PSH | ACK, 100)] * 5,
        [(1, SYN, 0), (1, ACK, 0), (1, PSH | ACK, 100)],
        [*OPENING[:2], (-1, RST, 0), (1, ACK, 0), (1, PSH | ACK, 100)],
    ],
)
def test_no_session_without_a_whole_handshake(packets):
    assert lengths(frames(packets)) == []


def test_a_session_may_start_at_the_answer():
    made = frames([(1, SYN | ACK, 0), (-1, ACK, 0), (-1, PSH | ACK, 5), (1, PSH | ACK, 6)])
    assert [p.from_client for p in measured(made, 20, faithful=True)] == [True, False]


def test_every_frame_counts_towards_the_window():
    packets = [*OPENING, *[(1, PSH | ACK, 10), (-1, ACK, 0)] * 20]
    assert len(lengths(frames(packets))) == 9  # 17 frames after the handshake, every second one is empty
    assert len(lengths(frames(packets), 100)) == 20


def test_closing_frames_are_measured_in_the_fixed_mode_only():
    made = frames([*OPENING, (1, PSH | ACK, 10), (1, FIN | PSH | ACK, 20), (1, PSH | ACK, 30)])
    assert lengths(made) == [10]
    assert lengths(made, faithful=False) == [10, 20]
    assert lengths(frames([*OPENING, (1, RST, 20)]), faithful=False) == []


def test_header_bytes_are_kept_in_the_faithful_mode_only():
    made = frames([*OPENING, (1, PSH | ACK, 10)])
    assert [measured(made, 20, faithful=mode)[0].header_bytes for mode in (True, False)] == [66, 0]


def test_a_minute_of_silence_ends_the_session():
    packets = [*OPENING, (1, PSH | ACK, 10), (1, PSH | ACK, 20)]
    assert lengths(frames(packets, silence_before=4)) == [10]


def test_udp_needs_both_directions():
    assert lengths(frames([(1, 0, 10), (1, 0, 20)], "udp")) == []
    assert lengths(frames([(1, 0, 10), (-1, 0, 20), (1, 0, 0)], "udp")) == [10, 20]


def test_lists_of_unequal_length_are_no_session():
    made = frames([*OPENING, (1, PSH | ACK, 10)])
    assert measured(made._replace(pkt_payload=[]), 20, faithful=True) == ()
