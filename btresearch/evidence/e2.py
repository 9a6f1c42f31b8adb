"""E2: SPID in depth: sets of meters, windows, thresholds, the release's quirks, fixed and adaptive models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from btresearch.detect.contract import ABSTAIN, BITTORRENT, OTHER
from btresearch.detect.spid import SETS, THRESHOLDS_BITS, Spid, ablation, contribution, sweep
from btresearch.evidence import figure, protocol, wording
from btresearch.evidence.evidence import Evidence
from btresearch.evidence.judge import FOLDS, fitted, learnable, protocol_names
from btresearch.evidence.material import Material, Measured
from btresearch.evidence.matrix import matrix, merged, tally
from btresearch.evidence.splits import session_folds

Reals = NDArray[np.float64]

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TITLE = "SPID in depth: meters, windows, thresholds, and a model that has met btls"
WINDOWS_FRAMES = (20, 100)
MODES: tuple[Literal["faithful", "fixed"], ...] = ("faithful", "fixed")
THRESHOLDS = (1.5, 1.75, 2.0, 2.04, 2.25, 2.5)
SHAPE_METERS = ("AccumulatedDirectionBytesMeter", "DirectionPacketLengthDistributionMeter")
MSE = ("bt_mse_rc4", "bt_mse_plain")
SHOWN_CLASSES = ("bt_mse_rc4", "bt_mse_plain", "bt_btls_basic", "tls")
CURVES = (("spid_default_20_faithful", "-", "fixed"), ("spid_default_20_faithful_adaptive", "--", "adaptive"))
TRAFFIC = (
    ("MSE/PE", MSE, "#0072B2"),
    ("btls", ("bt_btls_basic",), "#D55E00"),
    ("cover", ("tls",), "#000000"),
)
CAPTION = (
    "Share of flows in % that SPID calls BitTorrent at the release's threshold (2.04 bits for 15 meters, 2.25 for 34). "
    "Columns: set of meters, frames, mode; adaptive: has met btls and SSL torrents. Below, "
    "for 15 meters and 20 frames: left of the line a flow is called BitTorrent, and how far left says how surely."
)
LIMITS = (
    "The published model is lost, so ours are trained on other sessions of the same lab, which flatters them. The "
    "published figures are of other classes and an access network's traffic, and the figure for MSE/PE is known "
    "second hand only. 13 of the 15 default meters read payload bytes, so SPID is no test of sizes and directions "
    "alone. Cover is one class here; a model of a network would have many."
)
PUBLISHED = (
    ("precision", "100 %", "SNCNW 2009, abstract: a small set of protocols, access-network traces"),
    ("recall", "92 %", "SNCNW 2009, abstract: a small set of protocols, access-network traces"),
    (
        "accuracy on MSE/PE",
        "over 96 %",
        "Chalmers TR 2010-05, second hand: sizes and directions of 100 packets",
    ),
)


@dataclass(frozen=True)
class Variant:
    """One way to run SPID: a set of meters, a window, a mode, and whether the model has met btls."""

    meters: str
    window_frames: int
    mode: Literal["faithful", "fixed"]
    adaptive: bool

    @property
    def name(self) -> str:
        """As in the tables and in paper/claims.toml."""
        return f"spid_{self.meters}_{self.window_frames}_{self.mode}" + ("_adaptive" if self.adaptive else "")

    @property
    def threshold_bits(self) -> float:
        """The release's for this set of meters."""
        return THRESHOLDS_BITS[self.meters]


VARIANTS = tuple(
    Variant(meters, window, mode, adaptive)
    for adaptive, meters, window, mode in product((False, True), SETS, WINDOWS_FRAMES, MODES)
)


def evidence(material: Material) -> Evidence:
    """Every variant over every transport, the sweep, what each meter contributes, and the published figures."""
    names = protocol_names(material.flows)
    divergences = dict(_divergences(material, names))
    distances = {v.name: _mean(divergences[_source(v)], SETS[v.meters]) for v in VARIANTS}
    judged = pd.concat([_judged(v, distances[v.name]) for v in VARIANTS], ignore_index=True)
    counted = tally(material.corpus, judged)
    table = matrix(merged(counted), seed=material.seed)
    swept = pd.concat(
        [sweep(distances[v.name], names, THRESHOLDS).assign(variant=v.name) for v in VARIANTS],
        ignore_index=True,
    )
    values = _values(material, counted, distances, divergences)
    return Evidence(
        "E2",
        TITLE,
        table,
        material.check("E2", counted, values),
        material.corpus.inputs,
        material.versions,
        material.seed,
        material.notes,
        paragraph=_paragraph(table, values),
        limits=LIMITS,
        summary=wording.by_detector(table),
        tables={
            "Published figures beside ours": _published(values),
            "Threshold sweep": swept[["variant", *[c for c in swept.columns if c != "variant"]]],
            "Each meter alone and left out": _meters(divergences[("faithful", 20, True)], names),
            **protocol.tables(material.evaluation, ("spid", "spid_adaptive")),
        },
        canvas=_figure(table, distances, names),
    )


Source = tuple[str, int, bool]


def _source(variant: Variant) -> Source:
    return variant.mode, variant.window_frames, variant.adaptive


def _divergences(material: Material, names: pd.Series[str]) -> Iterator[tuple[Source, pd.DataFrame]]:
    """Divergence of every flow by all meters, from models of other sessions; a smaller set is a part of it."""
    for mode, window, adaptive in product(MODES, WINDOWS_FRAMES, (False, True)):
        detector = Spid(mode=mode, window_frames=window, meters="all")
        yield (mode, window, adaptive), _cross_fitted(detector, material.flows, names, adaptive=adaptive)


def _cross_fitted(spid: Spid, flows: pd.DataFrame, names: pd.Series[str], *, adaptive: bool) -> pd.DataFrame:
    fold, usable, kinds = (
        session_folds(flows, FOLDS),
        learnable(flows, adaptive=adaptive),
        flows["truth_capture_kind"],
    )
    parts = []
    for (kind, k), judged in flows.groupby([kinds, fold]):
        model = fitted(spid, flows[usable & (fold != k) & (kinds == kind)], names)
        if isinstance(model, Spid):
            parts.append(model.divergences(judged))
    columns = pd.MultiIndex.from_product([[], []], names=["class", "meter"])
    return (
        pd.concat(parts).reindex(flows.index) if parts else pd.DataFrame(index=flows.index, columns=columns)
    )


def _mean(divergences: pd.DataFrame, meters: Sequence[str]) -> pd.DataFrame:
    """Distance to each class: the mean over some meters."""
    classes = divergences.columns.get_level_values("class").unique()
    means = {name: divergences[name][list(meters)].mean(axis=1, skipna=False) for name in classes}
    return pd.DataFrame(means, index=divergences.index)


def _nearest(distances: pd.DataFrame) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The nearest class of each flow and how far it is; infinitely far without a session."""
    if not len(distances.columns):
        return np.full(len(distances), ""), np.full(len(distances), np.inf)
    table = distances.fillna(np.inf).to_numpy(np.float64)
    best = table.argmin(axis=1)
    return distances.columns.to_numpy(dtype=str)[best], table[np.arange(len(table)), best]


def _judged(variant: Variant, distances: pd.DataFrame) -> pd.DataFrame:
    classes, bits = _nearest(distances)
    ours = np.char.startswith(classes.astype(str), "bt")
    verdict = np.where(bits >= variant.threshold_bits, ABSTAIN, np.where(ours, BITTORRENT, OTHER))
    facts = {"detector": variant.name, "version": Spid().version, "score": 0.0, "verdict": verdict, "why": ""}
    return pd.DataFrame({"row": distances.index, **facts})


def _values(
    material: Material,
    counted: pd.DataFrame,
    distances: dict[str, pd.DataFrame],
    divergences: dict[Source, pd.DataFrame],
) -> Measured:
    called = counted[counted["detector"] == "spid_default_20_faithful"].groupby("class")["named"].sum()
    right, every = int(called.get("bittorrent", 0)), int(called.sum())
    shares = {mode: _mse_found(counted, f"spid_default_20_{mode}") for mode in MODES}
    apart, n = shares["fixed"][0] - shares["faithful"][0], shares["faithful"][1]
    accuracy, flows = _shape_alone(material, _mean(divergences[("faithful", 100, False)], SHAPE_METERS))
    return {
        "spid-precision": (
            right / every if every else np.nan,
            every,
            f"{right} of {every} flows called BitTorrent are",
        ),
        "spid-fixed-mode": (
            apart,
            n,
            f"repaired {shares['fixed'][0]:.1%}, faithful {shares['faithful'][0]:.1%}",
        ),
        "spid-shape-alone": (
            accuracy,
            flows,
            f"balanced accuracy {accuracy:.1%} by the nearest model of two meters",
        ),
    }


def _mse_found(counted: pd.DataFrame, detector: str) -> tuple[float, int]:
    rows = counted[(counted["detector"] == detector) & counted["transport"].isin(["mse_rc4", "mse_plain"])]
    n = int(rows["n"].sum())
    return (float(rows["flagged"].sum() / n) if n else np.nan), n


def _shape_alone(material: Material, distances: pd.DataFrame) -> tuple[float, int]:
    classes, bits = _nearest(distances)
    met, called = np.isfinite(bits), np.isin(classes, MSE)
    ours = material.flows["truth_transport"].isin(["mse_rc4", "mse_plain"]).to_numpy() & met
    theirs = (material.flows["truth_class"] == "cover").to_numpy() & met
    if not (ours.any() and theirs.any()):
        return float("nan"), int(ours.sum())
    return float((called[ours].mean() + 1 - called[theirs].mean()) / 2), int(ours.sum() + theirs.sum())


def _published(values: Measured) -> pd.DataFrame:
    ours = {"precision": "spid-precision", "accuracy on MSE/PE": "spid-shape-alone"}
    rows = [
        (what, said, values[ours[what]][2] if what in ours else "see the matrix", of)
        for what, said, of in PUBLISHED
    ]
    return pd.DataFrame(rows, columns=["figure", "published", "ours", "their corpus"])


def _meters(divergences: pd.DataFrame, names: pd.Series[str]) -> pd.DataFrame:
    """For some classes, by the adaptive model of all meters: what each one tells alone, and its part in the margin."""
    if divergences.empty:
        return pd.DataFrame()
    alone = contribution(divergences, names)
    without = ablation(divergences, names, THRESHOLDS_BITS["all"])[
        ["class", "left_out", "margin_bits", "named"]
    ]
    whole = without[without["left_out"] == ""].set_index("class")["margin_bits"]
    table = alone.merge(without.rename(columns={"left_out": "meter"}), on=["class", "meter"])
    table["margin_lost_bits"] = table["class"].map(whole) - table["margin_bits"]
    shown = table[table["class"].isin(SHOWN_CLASSES)].drop(columns=["margin_bits"])
    default = set(SETS["default"])
    shown = shown.assign(default=shown["meter"].isin(default))
    return shown.sort_values(["class", "alone"], ascending=[True, False], kind="stable")


def _paragraph(table: pd.DataFrame, values: Measured) -> str:
    def of(variant: str, transport: str, shape: str = "") -> str:
        return wording.rate(table, detector=variant, transport=transport, shape=shape)

    return (
        "With the release's settings (15 meters, 20 frames) SPID calls BitTorrent "
        f"{of('spid_default_20_faithful', 'mse_rc4')} "
        f"MSE/PE flows with RC4, {of('spid_default_20_faithful', 'btls_basic', 'rechunk')} btls flows and "
        f"{of('spid_default_20_faithful', 'cover')} cover flows. Once its models have met btls, the same settings find "
        f"{of('spid_default_20_faithful_adaptive', 'btls_basic', 'rechunk')} btls flows in the default shape at "
        f"{of('spid_default_20_faithful_adaptive', 'cover')} cover flows; all 34 meters and 100 frames find "
        f"{of('spid_all_100_faithful_adaptive', 'btls_basic', 'rechunk')} at "
        f"{of('spid_all_100_faithful_adaptive', 'cover')}. Of the release's quirks: {values['spid-fixed-mode'][2]}. "
        f"Sizes and directions alone, 100 frames: {values['spid-shape-alone'][2]}; published is over 96 %."
    )


def _figure(table: pd.DataFrame, distances: dict[str, pd.DataFrame], names: pd.Series[str]) -> Figure:
    rates, texts, border = figure.grid(table, [v.name for v in VARIANTS])
    labels = [name.removeprefix("spid_").replace("_", " ") for name in rates.columns]
    canvas = Figure(figsize=(11, 4.6 + 0.25 * len(rates) + 1.6), layout="constrained")
    upper, lower = canvas.subplots(2, 1, height_ratios=[1.6 + 0.25 * len(rates), 2.6])
    figure.draw(upper, rates.set_axis(labels, axis=1), texts.set_axis(labels, axis=1), border=border)
    _curves(lower, distances, names)
    figure.caption(canvas, CAPTION)
    return canvas


def _curves(axes: Axes, distances: dict[str, pd.DataFrame], names: pd.Series[str]) -> None:
    """How much nearer the nearest model of BitTorrent is than the nearest other one, as cumulative shares."""
    for variant, line, kind in CURVES:
        margin = _margin(distances[variant])
        for label, truths, colour in TRAFFIC:
            bits = np.sort(margin[names.isin(truths).to_numpy() & np.isfinite(margin)])
            if len(bits):
                share = np.arange(1, len(bits) + 1) / len(bits)
                axes.step(
                    bits, share, line, where="post", color=colour, label=f"{label}, {kind} (n={len(bits)})"
                )
    axes.axvline(0, color="0.6", linewidth=1)
    axes.set(
        xlabel="bits to the nearest BitTorrent model, less bits to the nearest other", ylabel="share of flows"
    )
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))


def _margin(distances: pd.DataFrame) -> Reals:
    ours = [name for name in distances.columns if name.startswith("bt")]
    nearest, other = distances[ours].min(axis=1), distances.drop(columns=ours).min(axis=1)
    return (nearest - other).to_numpy(np.float64)
