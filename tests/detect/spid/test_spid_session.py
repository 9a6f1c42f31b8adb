"""Which packets SPID measures: the plain restatement, and the table-wide choice that must equal it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch import flow
from btresearch.detect.cells import rows
from btresearch.detect.spid import session
from tests.conftest import ROOT
from tests.detect.spid import reference_session
from tests.detect.spid.batches import batch, unbatched
from tests.detect.spid.reference import Session
from tests.detect.spid.reference_session import Frames

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
OPENING = [(1, SYN, 0), (-1, SYN | ACK, 0), (1, ACK, 0)]
CAPTURES = sorted((ROOT / "captures").glob("*/manifest.toml"))


def frames(
    packets: list[tuple[int, int, int]], proto: str = "tcp", silence_before: int | None = None
) -> Frames:
    n = len(packets)
    gaps = np.full(n, 10**6, np.int64)
    if silence_before is not None:
        gaps[silence_before] = 61 * 10**9
    dirs, flags, lengths = np.array(packets, np.int64).reshape(n, 3).T
    return Frames(proto, dirs, flags, gaps, lengths, np.full(n, 66), [bytes(length) for length in lengths])


def table(every: list[Frames]) -> pd.DataFrame:
    return pd.DataFrame(every, columns=list(Frames._fields), index=[7 * i for i in range(len(every))])


def measured(every: list[Frames], window: int, *, faithful: bool) -> list[Session]:
    places, packets = session.measured(table(every), window, faithful=faithful)
    assert packets.sessions == len(places)
    return unbatched(places, packets, len(every))


def one(made: Frames, window: int = 20, *, faithful: bool = True) -> Session:
    found = reference_session.measured(made, window, faithful=faithful)
    neighbours = [made, frames([]), made]
    assert measured(neighbours, window, faithful=faithful) == [found, (), found]
    return found


def lengths(made: Frames, window: int = 20, *, faithful: bool = True) -> list[int]:
    return [packet.length_bytes for packet in one(made, window, faithful=faithful)]


_FRAME = st.tuples(
    st.sampled_from([1, -1]),
    st.sampled_from(
        [SYN, SYN | ACK, ACK, ACK, PSH | ACK, PSH | ACK, PSH | ACK, PSH, FIN | ACK, FIN, RST, SYN | RST]
    ),
    st.sampled_from([0, 1, 5, 1448]),
)
_FRAMES = st.builds(
    frames,
    st.builds(
        lambda head, tail: [*head, *tail], st.sampled_from([OPENING, []]), st.lists(_FRAME, max_size=12)
    ),
    st.sampled_from(["tcp", "tcp", "udp"]),
    st.none(),
)


@settings(deadline=None, max_examples=100)
@given(
    every=st.lists(_FRAMES, max_size=5),
    window=st.sampled_from([1, 4, 8, 20]),
    faithful=st.booleans(),
    silent=st.integers(0, 20),
)
def test_a_table_gives_what_its_flows_give_one_by_one(every, window, faithful, silent):
    for made in every[:1]:
        made.pkt_iat_ns[silent : silent + 1] = 61 * 10**9
    expected = [reference_session.measured(made, window, faithful=faithful) for made in every]
    assert measured(every, window, faithful=faithful) == expected


@pytest.mark.parametrize("faithful", [True, False])
@pytest.mark.parametrize("window", [20, 100])
def test_the_captures_in_git_give_what_their_flows_give_one_by_one(window, faithful):
    flows = flow.read([path.parent for path in CAPTURES])
    every = [Frames.of(*row) for row in rows(flows, Frames._fields)]
    expected = [reference_session.measured(made, window, faithful=faithful) for made in every]
    places, packets = session.measured(flows, window, faithful=faithful)
    assert unbatched(places, packets, len(flows)) == expected
    assert sum(map(len, expected)) > 300
    again = batch([found for found in expected if found])
    for column in ("row", "k", "from_client", "length", "header", "gap_ns", "payload"):
        assert np.array_equal(getattr(packets, column), getattr(again, column)), column


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
    assert [p.from_client for p in one(made)] == [True, False]


def test_every_frame_counts_towards_the_window():
    packets = [*OPENING, *[(1, PSH | ACK, 10), (-1, ACK, 0)] * 20]
    assert len(lengths(frames(packets))) == 9  # 17 frames after the handshake, every second one is empty
    assert len(lengths(frames(packets), 100)) == 20


def test_the_window_starts_at_the_syn_and_not_before():
    packets = [(-1, ACK, 0)] * 5 + [*OPENING, *[(1, PSH | ACK, 10)] * 20]
    assert len(lengths(frames(packets))) == 17


def test_closing_frames_are_measured_in_the_fixed_mode_only():
    made = frames([*OPENING, (1, PSH | ACK, 10), (1, FIN | PSH | ACK, 20), (1, PSH | ACK, 30)])
    assert lengths(made) == [10]
    assert lengths(made, faithful=False) == [10, 20]
    assert lengths(frames([*OPENING, (1, RST, 20)]), faithful=False) == []


def test_header_bytes_are_kept_in_the_faithful_mode_only():
    made = frames([*OPENING, (1, PSH | ACK, 10)])
    assert [one(made, faithful=mode)[0].header_bytes for mode in (True, False)] == [66, 0]


def test_gaps_run_from_one_measured_packet_to_the_next():
    made = frames(
        [*OPENING, (1, PSH | ACK, 10), (-1, ACK, 0), (-1, ACK, 0), (-1, PSH | ACK, 20), (1, PSH | ACK, 5)]
    )
    assert [packet.gap_ns for packet in one(made)] == [0, 3 * 10**6, 10**6]


def test_a_minute_of_silence_ends_the_session():
    packets = [*OPENING, (1, PSH | ACK, 10), (1, PSH | ACK, 20)]
    assert lengths(frames(packets, silence_before=4)) == [10]


def test_udp_needs_both_directions():
    assert lengths(frames([(1, 0, 10), (1, 0, 20)], "udp")) == []
    assert lengths(frames([(1, 0, 10), (-1, 0, 20), (1, 0, 0)], "udp")) == [10, 20]
    assert lengths(frames([(1, 0, 10), (1, 0, 10), (-1, 0, 20)], "udp"), window=2) == []


def test_udp_has_no_flags_to_end_at():
    assert lengths(frames([(-1, RST, 10), (1, FIN | ACK, 20), (-1, 0, 30)], "udp")) == [10, 20, 30]


@pytest.mark.parametrize(
    "damage",
    [{"pkt_payload": []}, {"pkt_len": None}, {"pkt_flags": np.array([], np.int64)}, {"pkt_dir": ["x"] * 4}],
)
def test_a_damaged_flow_is_no_session_and_spoils_no_other(damage):
    made = frames([*OPENING, (1, PSH | ACK, 10)])
    damaged = pd.DataFrame([made._replace(**damage), made], columns=list(Frames._fields))
    places, packets = session.measured(damaged, 20, faithful=True)
    assert (places.tolist(), packets.length.tolist()) == ([1], [10])


def test_lists_of_unequal_length_are_no_session_for_the_plain_restatement_either():
    made = frames([*OPENING, (1, PSH | ACK, 10)])
    assert reference_session.measured(made._replace(pkt_payload=[]), 20, faithful=True) == ()


def test_payloads_keep_their_zeros_and_foreign_ones_count_as_empty():
    made = frames([*OPENING, (1, PSH | ACK, 3), (1, PSH | ACK, 3)])
    foreign = made._replace(pkt_payload=[b"", b"", b"", b"a\0\0", "abc"])
    assert [packet.payload for packet in measured([foreign], 20, faithful=True)[0]] == [b"a\0\0", b""]
