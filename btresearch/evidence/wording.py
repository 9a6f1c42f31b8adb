"""Cells of a matrix in words and as the small tables that a document can print."""

from __future__ import annotations

from typing import Any

import pandas as pd

ORDER = ("clear", "utp", "utp_mse", "mse_plain", "mse_rc4", "ssl_torrent", "btls_basic", "cover")
NO_CELL = "no such flow was captured"


def traffic(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of a merged matrix with a column `traffic` (transport and shape), in the order of ORDER."""
    kind = table["capture"].map(lambda name: " [packetised]" if name == "packetised" else "")
    named = table.assign(traffic=(table["transport"] + " " + table["shape"]).str.strip() + kind)
    return named.sort_values("transport", key=lambda names: names.map(_place), kind="stable")


def _place(transport: str) -> int:
    return ORDER.index(transport) if transport in ORDER else len(ORDER)


def by_detector(table: pd.DataFrame) -> pd.DataFrame:
    """A row per detector, a column per traffic with its n: "flagged", or "flagged (named)" where they differ."""
    shown = traffic(table)
    shown["column"] = shown["traffic"] + shown["n"].map(lambda n: f" (n={n})")
    shown["cell"] = [cell(row) for _, row in shown.iterrows()]
    columns = list(dict.fromkeys(shown["column"]))
    wide = shown.pivot(index="detector", columns="column", values="cell").loc[
        list(dict.fromkeys(shown["detector"])), columns
    ]
    return wide.rename_axis(columns=None).reset_index().fillna("")


def cell(row: pd.Series[Any]) -> str:
    """How many flows it acted on, and how many of them it named; a dash where the rule never applied."""
    if row["abstained"] == row["n"]:
        return "-"
    return str(row["flagged"]) if row["flagged"] == row["named"] else f"{row['flagged']} ({row['named']})"


def rate(table: pd.DataFrame, **where: str) -> str:
    """One cell in words: "12 of 40 (30.0 %; by session 20.0 % to 40.0 %)"."""
    rows = table
    for column, value in where.items():
        rows = rows[rows[column.rstrip("_")] == value]
    return "; ".join(share(row) for _, row in rows.iterrows()) or NO_CELL


def share(row: pd.Series[Any]) -> str:
    """A row's rate with the interval that fits it: by session, or the bound of zero."""
    hits, n = int(row["flagged"]), int(row["n"])
    text = f"{hits} of {n}"
    if not n:
        return text
    if not hits:
        return f"{text} (a bound of {min(1.0, 3 / n):.1%} at best)"
    if hits == n:
        return f"{text} (at least {row['low']:.1%} if flows were independent)"
    return f"{text} ({hits / n:.1%}; by session {row['session_low']:.1%} to {row['session_high']:.1%})"
