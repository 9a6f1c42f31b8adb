"""The shortcut control finds a planted shortcut, and none where there is none."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from btresearch.evidence import shortcuts


@pytest.mark.parametrize(
    ("values", "share"),
    [([1, 2, 8, 9], 1.0), ([8, 9, 1, 2], 1.0), ([5, 5, 5, 5], 0.5), ([1, 9, 8, 9], 0.75)],
)
def test_best_threshold(values: list[int], share: float) -> None:
    positive = np.array([True, True, False, False])
    assert shortcuts.best_threshold(np.array(values), positive) == share


def flows(ports: tuple[int, int], kind: str = "wire") -> pd.DataFrame:
    rows = [
        {
            "truth_class": class_, "truth_transport": transport, "truth_capture_kind": kind, "dport": port,
            "client_hello": bytes(500), "burst_bytes": np.array([517, flight]),
        }
        for class_, transport, port in (("bittorrent", "btls_basic", ports[0]), ("cover", "tls", ports[1]))
        for flight in (2000, 3000)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_a_planted_port_is_caught_and_nothing_else() -> None:
    port, hello, flight = shortcuts.notes(flows((50_000, 443)))
    assert "server port alone tells btls from cover with balanced accuracy 100.0%" in port
    assert "50.0%" in hello and "50.0%" in flight
    assert "accuracy 50.0%" in shortcuts.notes(flows((443, 443)))[0]


def test_kinds_stay_apart_and_one_class_says_nothing() -> None:
    both = pd.concat([flows((50_000, 443)), flows((443, 443), kind="packetised")], ignore_index=True)
    assert len(shortcuts.notes(both)) == 2 * len(shortcuts.FACTS)
    assert shortcuts.notes(both[both["truth_class"] == "cover"]) == ()
