"""The block-entropy test: its exact null distribution, the gate, noise and text."""

from __future__ import annotations

import numpy as np
import pytest

from btresearch.detect.entropy import DETECTOR, Entropy, bits, block_kinds, distances, partitions, uniform
from tests.detect.wire import flow, http_conversation, table, talk, tls_conversation


def verdicts(*payloads, detector=DETECTOR):
    rows = table([flow(**talk([(1, payload)] if payload else [])) for payload in payloads])
    return detector(rows[list(detector.sees)])


def test_the_null_distribution_is_that_of_random_blocks():
    values, cumulative = uniform()
    assert cumulative[-1] == pytest.approx(1.0, abs=1e-12)
    assert cumulative[-1] - cumulative[-2] == pytest.approx(
        np.prod(1 - np.arange(8) / 256)
    )  # all values differ
    blocks = np.random.default_rng(5).integers(0, 256, (200_000, 8), dtype=np.uint8)
    seen = np.cumsum(np.bincount(block_kinds(blocks), minlength=len(values))) / len(blocks)
    assert np.abs(seen - cumulative).max() < 0.003


def test_partitions_and_their_entropies():
    assert len(partitions(8, 8)) == 22
    assert bits((8,)) == 0.0
    assert bits((4, 4)) == 1.0
    assert bits((1,) * 8) == 3.0


def test_entropy_of_known_blocks():
    blocks = np.array([[7] * 8, [0, 0, 0, 0, 1, 1, 1, 1], list(range(8))], dtype=np.uint8)
    assert uniform()[0][block_kinds(blocks)].tolist() == [0.0, 1.0, 3.0]


@pytest.mark.parametrize(
    ("length", "verdict"), [(148, "other"), (149, "flagged"), (2048, "flagged"), (9000, "flagged")]
)
def test_noise_is_flagged_from_149_bytes_on(length, verdict):
    noise = np.random.default_rng(length).bytes(length)
    assert verdicts(noise)["verdict"].tolist() == [verdict]


def test_one_packet_in_twenty_at_most_is_cleared_by_chance():
    random = np.random.default_rng(2)
    answers = verdicts(*(random.bytes(600) for _ in range(1000)))
    assert (answers["verdict"] == "flagged").mean() >= 0.95


def test_text_zeros_and_a_hello_are_not_noise():
    text = http_conversation()[1][1]
    hello = tls_conversation("a-rather-long-name-in-the-lab.test" * 4, [])[0][1]
    assert len(hello) >= 149
    assert verdicts(text, bytes(200), hello)["verdict"].tolist() == ["other"] * 3


def test_what_it_abstains_on():
    rows = table(
        [flow(proto="udp", first_payload_c2s=bytes(200)), flow(**talk([(1, b"a" * 200)], handshake=False))]
    )
    assert DETECTOR(rows[list(DETECTOR.sees)])["verdict"].tolist() == ["abstain"] * 2
    assert verdicts(b"")["verdict"].tolist() == ["abstain"]


def test_a_stricter_level_has_a_wider_limit():
    noise = np.random.default_rng(9).bytes(300)
    wide, narrow = (verdicts(noise, detector=Entropy(significance=a))["why"][10] for a in (0.01, 0.10))
    assert "limit 0.268" in wide
    assert "limit 0.201" in narrow


def test_only_the_first_2048_bytes_count():
    noise = np.random.default_rng(3).bytes(2048)
    assert distances([noise]) == distances([noise + bytes(4000)])
