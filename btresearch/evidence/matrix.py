"""Verdicts + truth -> the detector x transport matrix, one row a cell, with both kinds of interval."""

from __future__ import annotations

from typing import Any

import pandas as pd

from btresearch.evidence.corpus import Corpus
from btresearch.evidence.intervals import clopper_pearson, resampled

CELL = ["detector", "transport", "shape", "client", "capture", "class"]
COLUMNS = [
    "detector", "transport", "shape", "client", "n", "flagged", "rate", "low", "high",
    "named", "abstained", "sessions", "session_low", "session_high", "class", "capture",
]  # fmt: skip
COUNTS = ["n", "flagged", "named", "abstained"]
ACTED_ON = ("bittorrent", "flagged")


def tally(corpus: Corpus, verdicts: pd.DataFrame, more: tuple[str, ...] = ()) -> pd.DataFrame:
    """`COUNTS` per detector, transport, shape, client, capture kind and session: what rates are made of.

    `flagged` counts verdicts that a censor would act on (`bittorrent` or `flagged`), `named` those that say
    BitTorrent, `abstained` those where the detector does not apply; all three are out of `n`, every flow. For
    cover traffic `client` is the kind of cover. `more` names further columns of `verdicts` to sum.
    """
    truth = corpus.flows[
        ["truth_transport", "truth_shape", "truth_class", "truth_session", "truth_capture_kind"]
    ]
    truth = truth.rename(columns=lambda c: c.removeprefix("truth_")).rename(
        columns={"capture_kind": "capture"}
    )
    truth["client"] = corpus.flows.apply(pair_name, axis=1)
    joined = verdicts.join(truth, on="row").assign(
        n=1,
        flagged=verdicts["verdict"].isin(ACTED_ON).astype(int),
        named=verdicts["verdict"].eq("bittorrent").astype(int),
        abstained=verdicts["verdict"].eq("abstain").astype(int),
    )
    return joined.groupby([*CELL, "session"], sort=True)[[*COUNTS, *more]].sum().reset_index()


def matrix(counted: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    """One row per detector, transport, shape, client and capture kind, from the table of `tally`.

    `rate` is flagged / n; `low`/`high`: Clopper-Pearson 95 %; `session_low`/`session_high`: session bootstrap
    95 %. Wire and packetised captures never share a row.
    """
    cells = [
        _cell(dict(zip(CELL, key, strict=True)), group, seed)
        for key, group in counted.groupby(CELL, sort=True)
    ]
    return pd.DataFrame(cells, columns=COLUMNS)


def merged(counted: pd.DataFrame) -> pd.DataFrame:
    """The table of `tally` without the clients: each BitTorrent transport and shape is a cell, all cover another."""
    cover = counted["class"] == "cover"
    alike = counted.assign(client="", transport=counted["transport"].mask(cover, "cover"))
    alike["shape"] = alike["shape"].mask(cover, "")
    return alike.groupby([*CELL, "session"], sort=True)[COUNTS].sum().reset_index()


def _cell(names: dict[str, Any], sessions: pd.DataFrame, seed: int) -> dict[str, Any]:
    n, flagged, named, abstained = (int(sessions[count].sum()) for count in COUNTS)
    low, high = clopper_pearson(flagged, n)
    hits, sizes = (sessions[count].to_numpy(float) for count in ("flagged", "n"))
    session_low, session_high = resampled(hits, sizes, seed=seed)
    return names | {
        "n": n, "flagged": flagged, "rate": flagged / n, "low": low, "high": high,
        "named": named, "abstained": abstained, "sessions": len(sessions),
        "session_low": session_low, "session_high": session_high,
    }  # fmt: skip


def pair_name(row: pd.Series[Any]) -> str:
    """Who spoke: the cover kind, one client's name, or `initiator>responder` where they differ."""
    if row["truth_class"] != "bittorrent":
        return str(row["truth_kind"])
    client, server = str(row["truth_client"]), str(row["truth_server"])
    return client if client == server else f"{client}>{server}"


def pooled(counted: pd.DataFrame, *more: str, **where: str | tuple[str, ...]) -> pd.DataFrame:
    """`COUNTS` (and `more`) per session, summed over the rows that match; a tuple matches any of its values.

    A sum over a count that may not be given (NaN) is NaN.
    """
    chosen = counted
    for column, value in where.items():
        wanted = value if isinstance(value, tuple) else (value,)
        chosen = chosen[chosen[column.rstrip("_")].isin(wanted)]
    counts = [*COUNTS, *more]
    sums: pd.DataFrame = chosen.groupby("session")[counts].sum()
    return sums.mask(chosen[counts].isna().groupby(chosen["session"]).any())
