"""Peers learnt from clear text, and the flows that they give away."""

from __future__ import annotations

import pytest

from btresearch.detect.peer_table import DETECTOR, TIMEOUT_NS, peers_in
from tests.detect.wire import PEER_HANDSHAKE, flow, http_conversation, mse_conversation, table, talk

S = 10**9
HERE, FRIEND, STRANGER = ("10.0.0.5", 6881), ("198.51.100.7", 6882), ("203.0.113.9", 443)
COMPACT = bytes([198, 51, 100, 7]) + (6882).to_bytes(2, "big")


def row(messages, source, target, at_s, *, udp=False, capture="one"):
    facts = talk(messages, handshake=not udp) | ({"proto": "udp"} if udp else {})
    (src, sport), (dst, dport) = source, target
    where = {"src": src, "sport": sport, "dst": dst, "dport": dport, "capture": capture}
    return flow(**facts, **where, t_first_ns=int(at_s * S))


def dht_reply(values=COMPACT):
    reply = b"d1:rd2:id20:" + bytes(20) + b"6:valuesl6:" + values + b"ee1:t1:a1:y1:re"
    return row(
        [(1, b"d1:ad2:id20:" + bytes(20) + b"e1:q9:get_peerse"), (-1, reply)],
        HERE,
        ("192.0.2.1", 6881),
        1,
        udp=True,
    )


def mse(at_s, source=("10.0.0.5", 50000), target=FRIEND, **facts):
    return row(mse_conversation(1), source, target, at_s, **facts)


def verdicts(*rows):
    return DETECTOR(table(rows)[list(DETECTOR.sees)])["verdict"].tolist()


@pytest.mark.parametrize(
    ("message", "peers"),
    [
        (b"6:valuesl6:" + COMPACT + b"e", [FRIEND]),
        (b"5:nodes26:" + bytes(20) + COMPACT + b"x", [FRIEND]),
        (b"5:peers12:" + COMPACT + COMPACT, [FRIEND, FRIEND]),
        (b"5:added6:" + COMPACT, [FRIEND]),
        (b"6:peers618:" + bytes(15) + b"\1\0\x50", [("::1", 80)]),
        (b"6:nodes638:" + bytes(20) + bytes(15) + b"\1\0\x50", [("::1", 80)]),
        (b"5:nodes999999:" + bytes(20) + COMPACT, [FRIEND]),  # cut short by the packet
        (b"5:nodes26:" + bytes(25), []),
        (b"7:added.f6:" + COMPACT, []),
    ],
)
def test_addresses_in_compact_lists(message, peers):
    assert list(peers_in(message)) == peers


def test_encryption_does_not_hide_a_peer_that_the_dht_named():
    assert verdicts(dht_reply(), mse(2)) == ["bittorrent", "bittorrent"]


def test_without_the_clear_text_the_same_flow_is_not_named():
    assert verdicts(mse(2)) == ["other"]


def test_a_flow_before_the_clear_text_is_not_named():
    assert verdicts(dht_reply(), mse(0)) == ["bittorrent", "other"]


@pytest.mark.parametrize(("late_ns", "verdict"), [(0, "bittorrent"), (2 * S, "other")])
def test_a_peer_is_forgotten_after_twenty_minutes(late_ns, verdict):
    assert verdicts(dht_reply(), mse(1 + (TIMEOUT_NS + late_ns) / S - 0.002))[1] == verdict


def test_another_capture_is_another_table():
    assert verdicts(dht_reply(), mse(2, capture="two")) == ["bittorrent", "other"]


def test_the_ends_of_a_recognised_flow_are_learnt():
    clear = row([(1, PEER_HANDSHAKE), (-1, PEER_HANDSHAKE)], ("10.0.0.5", 50001), FRIEND, 1)
    assert verdicts(clear, mse(2)) == ["bittorrent", "bittorrent"]


def test_a_trackers_own_address_is_not_learnt():
    tracker = ("192.0.2.80", 80)
    answer = b"HTTP/1.1 200 OK\r\n\r\nd8:intervali60e5:peers6:" + COMPACT + b"e"
    announce = row([(1, b"GET /announce HTTP/1.1\r\n\r\n"), (-1, answer)], ("10.0.0.5", 50002), tracker, 1)
    page = row(http_conversation(), ("10.0.0.6", 50003), tracker, 3)
    assert verdicts(announce, mse(2), page) == ["bittorrent", "bittorrent", "other"]


def test_a_short_utp_header_is_recognised_by_its_length():
    header = b"\x41\0" + bytes(18)
    assert verdicts(row([(1, header)], HERE, STRANGER, 1, udp=True)) == ["bittorrent"]
    assert verdicts(row([(1, header + b"x")], HERE, STRANGER, 1, udp=True)) == ["other"]


def test_no_payload_and_a_damaged_row():
    broken = mse(2)
    broken["pkt_iat_ns"] = broken["pkt_iat_ns"][:1]
    assert verdicts(row([], HERE, FRIEND, 1), broken) == ["abstain", "other"]
