"""The E1 figure: flagged rate by detector and traffic, colour-blind-safe and readable in grey."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ORDER = ("clear", "utp", "utp_mse", "mse_plain", "mse_rc4", "ssl_torrent", "btls_basic", "tls")
CAPTION = (
    "Share of flows that each detector would act on. °: a suspicion only, BitTorrent is not named. "
    "–: the rule does not apply to any flow of the row. 0% of n flows is a bound (3/n), not a proof."
)


def figure(table: pd.DataFrame) -> Figure:
    """Heat map: a row per transport, shape and client, a column per detector; n beside each row."""
    shown = table.assign(traffic=table.apply(_row_name, axis=1))
    shown = shown.sort_values(by=["class", "transport", "traffic"], key=_rank)
    rows, columns = list(dict.fromkeys(shown["traffic"])), sorted(shown["detector"].unique())
    rates = shown.pivot(index="traffic", columns="detector", values="rate").loc[rows, columns]
    shown["text"] = shown.apply(_text, axis=1)
    texts = shown.pivot(index="traffic", columns="detector", values="text").loc[rows, columns]
    canvas = Figure(figsize=(2.6 + 0.82 * len(columns), 1.9 + 0.27 * len(rows)), layout="constrained")
    axes = canvas.add_subplot()
    _draw(axes, rates, texts)
    border = sum(1 for name in rows if not name.startswith("cover"))
    axes.axhline(border - 0.5, color="black", linewidth=1.5)
    canvas.supxlabel(CAPTION, fontsize=7)
    return canvas


def _draw(axes: Axes, rates: pd.DataFrame, texts: pd.DataFrame) -> None:
    values = rates.to_numpy(dtype=float)
    axes.imshow(values, cmap=mpl.colormaps["Blues"], vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(rates.shape[1]), list(rates.columns), rotation=30, ha="left", fontsize=8)
    axes.xaxis.tick_top()
    axes.set_yticks(range(rates.shape[0]), list(rates.index), fontsize=8)
    axes.set_xticks([x + 0.5 for x in range(rates.shape[1] - 1)], minor=True)
    axes.set_yticks([y + 0.5 for y in range(rates.shape[0] - 1)], minor=True)
    axes.grid(which="minor", color="0.8", linewidth=0.5)
    axes.tick_params(which="minor", length=0)
    for (row, column), rate in np.ndenumerate(values):
        text = str(texts.iloc[row, column])
        ink = "white" if rate > 0.6 else "0.55" if text == "–" else "black"
        axes.text(
            column, row, "" if np.isnan(rate) else text, ha="center", va="center", fontsize=7, color=ink
        )


def _text(row: pd.Series[str]) -> str:
    if row["abstained"] == row["n"]:
        return "–"
    suspicion = "°" if row["flagged"] and not row["named"] else ""
    return f"{float(row['rate']):.0%}{suspicion}"


def _rank(column: pd.Series[str]) -> pd.Series[str]:
    if column.name == "class":
        return column.map({"bittorrent": "0", "cover": "1"}).fillna("2")
    if column.name == "transport":
        return column.map({name: f"{i:02d}" for i, name in enumerate(ORDER)}).fillna("99")
    return column


def _row_name(row: pd.Series[str]) -> str:
    suffix = " [packetised]" if row["capture"] == "packetised" else ""
    if row["class"] != "bittorrent":
        return f"cover: {row['client']} (n={row['n']}){suffix}"
    shape = f" {row['shape']}" if row["shape"] else ""
    return f"{row['transport']}{shape}: {row['client']} (n={row['n']}){suffix}"


def save(canvas: Figure, stem: Path) -> Mapping[str, Path]:
    """Write STEM.png (200 dpi) and STEM.svg, the same bytes for the same figure."""
    with mpl.rc_context({"svg.hashsalt": "btresearch", "svg.fonttype": "none"}):
        paths = {"png": stem.with_suffix(".png"), "svg": stem.with_suffix(".svg")}
        canvas.savefig(paths["png"], dpi=200, metadata={"Software": None})
        canvas.savefig(paths["svg"], metadata={"Date": None})
    return paths
