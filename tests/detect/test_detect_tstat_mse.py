"""Tstat's message boundaries, size test and nibble entropy."""

from __future__ import annotations

import numpy as np
import pytest

from btresearch.detect.tstat_mse import DETECTOR, dh_sized, message_sizes, nibble_entropies
from tests.detect.wire import ACK, FIN, PSH, clear_conversation, flow, mse_conversation, table, talk


def verdict(**facts: object) -> str:
    return str(DETECTOR(table([flow(**facts)])[list(DETECTOR.sees)])["verdict"].iloc[0])


@pytest.mark.parametrize(
    ("sizes", "fits"),
    [
        ([], False),
        ([95], False),
        ([96], True),
        ([608], True),
        ([609], False),
        ([95, 1], True),
        ([95, 513], True),
        ([95, 514], False),
        ([609, 1], False),
        ([300, 900], True),
    ],
)
def test_the_first_or_the_first_two_messages_fit_a_padded_key(sizes, fits):
    assert dh_sized(sizes) is fits


@pytest.mark.parametrize(
    ("flags", "sizes"),
    [
        ([ACK, PSH | ACK, PSH | ACK], [30, 30]),
        ([PSH | ACK, ACK, FIN | ACK], [10, 50]),
        ([PSH, PSH, PSH | ACK], [60]),  # a boundary needs ACK
        ([ACK, ACK, ACK], []),
    ],
)
def test_a_message_ends_at_push_or_fin_with_ack(flags, sizes):
    assert message_sizes(1, [1, 1, 1], [10, 20, 30], flags) == sizes


def test_messages_are_counted_per_direction():
    dirs, lengths, flags = [1, -1, 1, -1], [100, 200, 300, 400], [PSH | ACK] * 4
    assert message_sizes(1, dirs, lengths, flags) == [100, 300]
    assert message_sizes(-1, dirs, lengths, flags) == [200, 400]


def test_nibble_entropy_of_known_data():
    assert nibble_entropies(bytes(range(256))) == pytest.approx((4.0, 4.0))
    assert nibble_entropies(b"\x00\x01" * 8) == pytest.approx((1.0, 0.0))
    assert nibble_entropies(b"") == (0.0, 0.0)


def test_known_answer_on_generated_mse():
    rows = [flow(**talk(mse_conversation(seed))) for seed in range(300)]
    verdicts = DETECTOR(table(rows)[list(DETECTOR.sees)])["verdict"]
    assert (verdicts == "bittorrent").mean() > 0.99


def test_other_traffic_and_half_open_flows():
    random = np.random.default_rng(4)
    text = [(1, b"A" * 200), (-1, b"B" * 200)]
    assert verdict(**talk(clear_conversation())) == "other"
    assert verdict(**talk(text)) == "other"
    assert verdict(**talk([(1, random.bytes(700)), (-1, random.bytes(200))])) == "other"
    assert verdict(**talk(mse_conversation(1)) | {"is_tls": True}) == "other"
    assert verdict(**talk([(1, b"SSH-2.0-x\r\n" + random.bytes(200)), (-1, random.bytes(200))])) == "other"
    assert verdict(**talk([(1, random.bytes(200)), (-1, b"HTTP/1.1 200" + random.bytes(200))])) == "other"
    assert verdict(**talk([(1, random.bytes(200))])) == "abstain"
    assert verdict(**talk(mse_conversation(1), handshake=False)) == "abstain"
    assert verdict(**talk(mse_conversation(1)) | {"proto": "udp"}) == "abstain"
