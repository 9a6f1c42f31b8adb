"""Figures of the claims: heat maps of rates by traffic, colour-blind-safe and readable in grey."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ORDER = ("clear", "utp", "utp_mse", "mse_plain", "mse_rc4", "ssl_torrent", "btls_basic", "tls")
CAPTION = (
    "Share of flows in % that each detector would act on. °: a suspicion only, BitTorrent is not named. "
    "–: the rule does not apply to any flow of the row. 0 of n flows is a bound (3/n), not a proof."
)


def figure(table: pd.DataFrame) -> Figure:
    """Heat map: a row per transport, shape and client, a column per detector; n beside each row."""
    rates, texts, border = grid(table, list(dict.fromkeys(table["detector"])))
    return heat(rates, texts, caption_text=CAPTION, border=border)


def grid(table: pd.DataFrame, detectors: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame, int]:
    """Rates and texts with a row per traffic and a column per detector, and how many rows are BitTorrent."""
    shown = table[table["detector"].isin(detectors)]
    shown = shown.assign(traffic=shown.apply(row_name, axis=1), text=shown.apply(_text, axis=1))
    shown = shown.sort_values(by=["class", "transport", "traffic"], key=_rank)
    rows = list(dict.fromkeys(shown["traffic"]))
    columns = [name for name in detectors if name in set(shown["detector"])]
    rates = shown.pivot(index="traffic", columns="detector", values="rate").loc[rows, columns]
    texts = shown.pivot(index="traffic", columns="detector", values="text").loc[rows, columns]
    return rates, texts, int(shown.loc[shown["class"] == "bittorrent", "traffic"].nunique())


def heat(rates: pd.DataFrame, texts: pd.DataFrame, *, caption_text: str, border: int = 0) -> Figure:
    """Heat map of shares in [0, 1] (NaN: blank) with a text in each cell; a line below the first `border` rows."""
    rows, columns = rates.shape
    canvas = Figure(figsize=(max(6.5, 3.2 + 0.52 * columns), 2.0 + 0.25 * rows), layout="constrained")
    draw(canvas.add_subplot(), rates, texts, border=border)
    caption(canvas, caption_text)
    return canvas


def caption(canvas: Figure, text: str) -> None:
    """Small print below, broken to the figure's width."""
    canvas.supxlabel("\n".join(wrap(text, int(16 * canvas.get_figwidth()))), fontsize=7)


def draw(axes: Axes, rates: pd.DataFrame, texts: pd.DataFrame, *, border: int = 0) -> None:
    """The heat map alone, into `axes`."""
    _draw(axes, rates, texts)
    if border:
        axes.axhline(border - 0.5, color="black", linewidth=1.5)


def _draw(axes: Axes, rates: pd.DataFrame, texts: pd.DataFrame) -> None:
    values = rates.to_numpy(dtype=float)
    axes.imshow(values, cmap=mpl.colormaps["Blues"], vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(
        range(rates.shape[1]), list(rates.columns), rotation=50, ha="left", rotation_mode="anchor", fontsize=8
    )
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
    return f"{float(row['rate']):.0%}{suspicion}".replace("%", "")


def _rank(column: pd.Series[str]) -> pd.Series[str]:
    if column.name == "class":
        return column.map({"bittorrent": "0", "cover": "1"}).fillna("2")
    if column.name == "transport":
        return column.map({name: f"{i:02d}" for i, name in enumerate(ORDER)}).fillna("99")
    return column


def row_name(row: pd.Series[str]) -> str:
    """Which traffic a row of the matrix is about, with its n."""
    suffix = " [packetised]" if row["capture"] == "packetised" else ""
    client = f": {row['client']}" if row["client"] else ""
    if row["class"] != "bittorrent":
        return f"cover{client} (n={row['n']}){suffix}"
    shape = f" {row['shape']}" if row["shape"] else ""
    return f"{row['transport']}{shape}{client} (n={row['n']}){suffix}"


def save(canvas: Figure, stem: Path) -> Mapping[str, Path]:
    """Write STEM.png (200 dpi) and STEM.svg, the same bytes for the same figure."""
    with mpl.rc_context({"svg.hashsalt": "btresearch", "svg.fonttype": "none"}):
        paths = {"png": stem.with_suffix(".png"), "svg": stem.with_suffix(".svg")}
        canvas.savefig(paths["png"], dpi=200, metadata={"Software": None})
        canvas.savefig(paths["svg"], metadata={"Date": None})
    return paths
