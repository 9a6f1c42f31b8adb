"""Control: how far one trivial fact about a flow, with a threshold, already tells BitTorrent over TLS from cover.

A fact that separates them perfectly is either a finding about the protocol or an artefact of the lab; either way
a trained detector's result must not be read as if it came from the shape of the bulk (evaluation protocol,
point 7).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

FACTS: dict[str, Callable[[pd.Series[Any]], int]] = {
    "server port": lambda flow: int(flow["dport"]),
    "ClientHello bytes": lambda flow: len(flow["client_hello"]),
    "server's first flight in bytes": lambda flow: int(flow["burst_bytes"][1]) if len(flow["burst_bytes"]) > 1 else 0,
}  # fmt: skip


def best_threshold(values: NDArray[np.integer[Any]], positive: NDArray[np.bool_]) -> float:
    """Balanced accuracy of the best single threshold, in sample, whichever side is positive (0.5: none helps)."""
    rates = [
        ((values <= cut)[positive].mean(), (values <= cut)[~positive].mean()) for cut in np.unique(values)
    ]
    return max(0.5 + abs(float(ours) - float(theirs)) / 2 for ours, theirs in rates)


def notes(flows: pd.DataFrame) -> tuple[str, ...]:
    """One line per fact and capture kind; none where BitTorrent over TLS or cover is missing."""
    told = flows[flows["truth_transport"].str.startswith("btls_") | (flows["truth_class"] == "cover")]
    lines = []
    for kind, group in told.groupby("truth_capture_kind"):
        positive = (group["truth_class"] == "bittorrent").to_numpy()
        if positive.all() or not positive.any():
            continue
        for name, fact in FACTS.items():
            share = best_threshold(group.apply(fact, axis=1).to_numpy(np.int64), positive)
            lines.append(
                f"shortcut control ({kind}): a threshold on the {name} alone tells btls from cover with balanced "
                f"accuracy {share:.1%} (50% is chance)."
            )
    return tuple(lines)
