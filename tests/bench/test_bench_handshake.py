"""The cost of a connection, measured on a few."""

from __future__ import annotations

import os

import pytest

from btresearch.bench import handshake
from btresearch.bench.party import TRANSPORTS, Party


@pytest.fixture(scope="module")
def party() -> Party:
    return Party(os.urandom(20))


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_cpu_of_both_ends(party: Party, transport: str) -> None:
    initiator, responder = handshake.cpu_ms(party, transport, 3)
    assert 0 <= initiator < 1000
    assert 0 <= responder < 1000
    if transport != "clear":
        assert initiator > 0 < responder


@pytest.mark.parametrize("transport", ["clear", "btls_basic", "btls_full"])
def test_round_trips_over_a_long_way(transport: str) -> None:
    (cost,) = handshake.run(levels=[transport], cpu_only=(), rtt_s=0.1, connections=2, visits=1)
    most = {"clear": (1, 2)} | handshake.TARGET_RTT
    assert cost.handshake_rtt is not None
    assert cost.first_block_rtt is not None
    assert most[transport][0] <= cost.handshake_rtt < most[transport][0] + 0.5
    assert most[transport][1] <= cost.first_block_rtt < most[transport][1] + 0.5
    assert cost.met is (None if transport == "clear" else True)


def test_too_slow_is_said() -> None:
    assert handshake._met("btls_basic", (1.0, 6.0), (2.1, 3.1)) is False
    assert handshake._met("btls_basic", (1.0, 1.0), (2.1, 3.6)) is False
    assert handshake._met("btls_full", (1.0, 1.0), (3.1, 4.1)) is True
    assert handshake._met("ssl_torrent", (9.0, 9.0), (None, None)) is None
