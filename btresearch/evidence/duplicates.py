"""Flows that repeat another: found before any split, so that no test flow is also a training flow.

Two identities: `exact` (packets' sizes and directions, and the first payload) is what a corpus drops on loading;
`alike` (sizes and directions of the payload-bearing packets) is the sequence that a flow-shape method sees, and
what `evaluate` drops (evaluation protocol, point 2). Only flows of one label are compared: where a cover flow looks
exactly like BitTorrent, both stay.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

LABEL = ["truth_capture_kind", "truth_class", "truth_transport", "truth_shape", "truth_kind"]
COLUMNS = ["capture", "class", "transport", "shape", "kind", "n", "duplicates", "rate"]


def exact(flows: pd.DataFrame) -> NDArray[np.bool_]:
    """Which flows have the packets and the first payload of an earlier flow of their capture kind."""
    identity = list(_exact(flows))
    kinds = flows["truth_capture_kind"].to_numpy()
    return pd.DataFrame({"kind": kinds, "of": identity}).duplicated().to_numpy(dtype=bool)


def alike(flows: pd.DataFrame) -> NDArray[np.bool_]:
    """Which flows send the payload sizes and directions of an earlier flow with the same label."""
    keys = {name: flows[name].to_numpy() for name in LABEL if name in flows}
    repeated = pd.DataFrame(keys | {"of": sequences(flows)}).duplicated()
    return repeated.to_numpy(dtype=bool)


def sequences(flows: pd.DataFrame) -> list[bytes]:
    """Per flow, its payload-bearing packets as signed sizes (positive: from the initiator)."""
    pairs = zip(flows["pkt_dir"], flows["pkt_len"], strict=True)
    return [_signed(np.asarray(ways, np.int64), np.asarray(sizes, np.int64)) for ways, sizes in pairs]


def _signed(ways: NDArray[np.int64], sizes: NDArray[np.int64]) -> bytes:
    return (ways * sizes)[sizes > 0].tobytes()


def _exact(flows: pd.DataFrame) -> Iterator[bytes]:
    for ways, sizes, first in zip(
        flows["pkt_dir"], flows["pkt_len"], flows["first_payload_c2s"], strict=True
    ):
        digest = hashlib.blake2b(np.asarray(ways, np.int8).tobytes(), digest_size=16)
        digest.update(np.asarray(sizes, np.int64).tobytes())
        digest.update(first if isinstance(first, bytes) else b"")
        yield digest.digest()


def table(flows: pd.DataFrame, repeated: NDArray[np.bool_]) -> pd.DataFrame:
    """How many flows of each label repeat another: capture, class, transport, shape, kind, n, duplicates, rate."""
    counted = flows[LABEL].assign(n=1, duplicates=repeated.astype(int))
    out = counted.groupby(LABEL)[["n", "duplicates"]].sum().reset_index()
    out["rate"] = out["duplicates"] / out["n"]
    return out.set_axis(COLUMNS, axis=1)
