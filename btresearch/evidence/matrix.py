"""Verdicts + truth -> the detector x transport matrix, one row a cell, with both kinds of interval."""

from __future__ import annotations

from typing import Any

import pandas as pd

from btresearch.evidence.corpus import Corpus
from btresearch.evidence.intervals import clopper_pearson, session_bootstrap

CELL = ["detector", "transport", "shape", "client", "capture", "class"]
COLUMNS = [
    "detector", "transport", "shape", "client", "n", "flagged", "rate", "low", "high",
    "named", "abstained", "sessions", "session_low", "session_high", "class", "capture",
]  # fmt: skip
ACTED_ON = ("bittorrent", "flagged")


def matrix(corpus: Corpus, verdicts: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    """One row per detector, transport, shape, client and capture kind.

    `flagged` counts verdicts that a censor would act on (`bittorrent` or `flagged`), `named` those that say
    BitTorrent, `abstained` those where the detector does not apply; all three are out of `n`, every flow of
    the cell. `low`/`high`: Clopper-Pearson 95 %; `session_low`/`session_high`: session bootstrap 95 %. For
    cover traffic `client` is the kind of cover. Wire and packetised captures never share a row.
    """
    truth = corpus.flows[
        ["truth_transport", "truth_shape", "truth_class", "truth_session", "truth_capture_kind"]
    ]
    truth = truth.rename(columns=lambda c: c.removeprefix("truth_")).rename(
        columns={"capture_kind": "capture"}
    )
    truth["client"] = corpus.flows.apply(pair_name, axis=1)
    joined = verdicts.join(truth, on="row")
    cells = [
        _cell(dict(zip(CELL, key, strict=True)), group, seed)
        for key, group in joined.groupby(CELL, sort=True)
    ]
    return pd.DataFrame(cells, columns=COLUMNS)


def _cell(names: dict[str, Any], group: pd.DataFrame, seed: int) -> dict[str, Any]:
    hits = group["verdict"].isin(ACTED_ON).to_numpy()
    n, flagged = len(group), int(hits.sum())
    low, high = clopper_pearson(flagged, n)
    session_low, session_high = session_bootstrap(hits, list(group["session"]), seed=seed)
    return names | {
        "n": n, "flagged": flagged, "rate": flagged / n, "low": low, "high": high,
        "named": int((group["verdict"] == "bittorrent").sum()),
        "abstained": int((group["verdict"] == "abstain").sum()),
        "sessions": group["session"].nunique(),
        "session_low": session_low, "session_high": session_high,
    }  # fmt: skip


def pair_name(row: pd.Series[Any]) -> str:
    """Who spoke: the cover kind, one client's name, or `initiator>responder` where they differ."""
    if row["truth_class"] != "bittorrent":
        return str(row["truth_kind"])
    client, server = str(row["truth_client"]), str(row["truth_server"])
    return client if client == server else f"{client}>{server}"


def pooled(table: pd.DataFrame, **where: str | tuple[str, ...]) -> pd.Series[int]:
    """`flagged`, `named`, `abstained` and `n` summed over the rows that match; a tuple matches any of its values."""
    chosen = table
    for column, value in where.items():
        wanted = value if isinstance(value, tuple) else (value,)
        chosen = chosen[chosen[column.rstrip("_")].isin(wanted)]
    return chosen[["flagged", "named", "abstained", "n"]].sum().astype(int)
