"""E5: TLS fingerprints: who else sends the same ClientHello, how large it is, and what the rules make of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from btresearch.detect.npf import npf, npf_hash
from btresearch.detect.tls_stacks import stacks
from btresearch.evidence import figure, protocol, wording
from btresearch.evidence.evidence import Evidence
from btresearch.evidence.material import Material, Measured
from btresearch.evidence.matrix import matrix, merged, tally
from btresearch.evidence.rates import measured
from btresearch.flow import HelloError, parse_client_hello

TITLE = "TLS fingerprints, their anonymity sets in this corpus, and sizes of the ClientHello"
PRINTS = ("ja3", "ja4", "ja4_bc", "npf")
BROWSERS = ("chrome", "chromium", "firefox", "safari")
GROUP = ["capture", "class", "transport", "shape", "who"]
CAPTION = (
    "Left: share of a row's flows whose JA4 some cover kind (other than the row's own) sends too: its company in "
    "this corpus (light: JA4 without its first part, which tells of SNI and ALPN). "
    "Right: sizes of the ClientHello, a mark a flow; orange: tls_fingerprint would act on it."
)
LIMITS = (
    "An anonymity set here is a set of programs of this lab; how many people send a fingerprint is not known from "
    "it. Browsers other than Chromium are imitated by curl_cffi, and btls's hello by uTLS: a difference between the "
    "two imitations is not one between btls and Chrome. JA3 is of little use against stacks that permute their "
    "extensions, as Chrome does: each flow has its own."
)


def evidence(material: Material) -> Evidence:
    """A row per transport, shape and program, the rules' findings, and both panels of the figure."""
    hellos = _hellos(material)
    judged = material.of(["tls_fingerprint"])
    counted = tally(material.corpus, judged)
    rated = matrix(merged(counted), seed=material.seed)
    table = _rows(hellos)
    values = _values(hellos)
    return Evidence(
        "E5",
        TITLE,
        table,
        material.check("E5", counted, values),
        material.corpus.inputs,
        material.versions,
        material.seed,
        material.notes,
        paragraph=_paragraph(table, rated, values),
        limits=LIMITS,
        summary=_summary(table),
        tables={
            "tls_fingerprint's rates": rated,
            "Which rule spoke": _rules(judged, material),
            "Stacks by JA4": _stacks(hellos),
            **protocol.tables(material.evaluation, ("tls_fingerprint",)),
        },
        canvas=_figure(hellos),
    )


def _hellos(material: Material) -> pd.DataFrame:
    """A row per flow with a ClientHello: who sent it, its fingerprints and size, and whether the rules act on it."""
    flows = material.flows
    acted = material.of(["tls_fingerprint"]).set_index("row")["verdict"].isin(["bittorrent", "flagged"])
    sent = flows[flows["ja4"] != ""]
    found = pd.DataFrame(
        {
            "capture": sent["truth_capture_kind"],
            "class": sent["truth_class"],
            "transport": sent["truth_transport"],
            "shape": sent["truth_shape"],
            "who": sent["truth_client"].where(sent["truth_class"] == "bittorrent", sent["truth_kind"]),
            "session": sent["truth_session"],
            "ja3": sent["ja3"],
            "ja4": sent["ja4"],
            "ja4_bc": sent["ja4"].str.partition("_")[2],
            "npf": [_npf(*row) for row in zip(sent["tls_record_version"], sent["client_hello"], strict=True)],
            "bytes": sent["client_hello"].map(len),
            "sni": sent["sni"] != "",
            "alpn": sent["alpn"] != "",
            "acted": acted.reindex(sent.index).fillna(False).to_numpy(bool),
        }
    ).reset_index(drop=True)
    for one in PRINTS:
        found[f"company_{one}"] = _company(found, one)
    return found


def _npf(version: int, message: bytes) -> str:
    try:
        return npf_hash(npf(int(version), parse_client_hello(message)))
    except HelloError:
        return ""


def _company(hellos: pd.DataFrame, one: str) -> pd.Series[int]:
    """How many cover kinds, the sender's own left out, send each flow's fingerprint."""
    cover = hellos[hellos["class"] == "cover"]
    senders = {value: set(group) for value, group in cover.groupby(one)["who"]}
    pairs = zip(hellos[one], hellos["who"], strict=True)
    return pd.Series(
        [len(senders.get(value, set()) - {who}) for value, who in pairs], index=hellos.index, dtype=int
    )


def _rows(hellos: pd.DataFrame) -> pd.DataFrame:
    """One row per program and shape: n, distinct fingerprints, company, sizes, names, and what the rules flag."""
    rows = []
    for key, group in hellos.groupby(GROUP, sort=True):
        from_table = {stacks().find(ja4, "").shared for ja4 in group["ja4"]}
        rows.append(
            dict(zip(GROUP, key, strict=True))
            | {"n": len(group), "sessions": group["session"].nunique()}
            | {f"distinct_{one}": group[one].nunique() for one in PRINTS}
            | {f"shared_{one}": float((group[f"company_{one}"] > 0).mean()) for one in PRINTS}
            | {"cover_kinds_ja4": int(group["company_ja4"].max()), "stacks_of_table": max(from_table)}
            | {"bytes_min": int(group["bytes"].min()), "bytes_median": float(group["bytes"].median())}
            | {"bytes_max": int(group["bytes"].max()), "sni": float(group["sni"].mean())}
            | {"alpn": float(group["alpn"].mean())}
            | _flagged(group)
        )
    return pd.DataFrame(rows)


def _flagged(group: pd.DataFrame) -> dict[str, Any]:
    row = measured(group["acted"].to_numpy(bool), group["session"].to_numpy(dtype=object), seed=0)
    return {
        "flagged": row["hits"],
        **{k: row[k] for k in ("rate", "low", "high", "session_low", "session_high")},
    }


def _values(hellos: pd.DataFrame) -> Measured:
    btls = hellos[hellos["transport"].str.startswith("btls_")]
    ssl = hellos[hellos["transport"] == "ssl_torrent"]
    browsers = hellos[(hellos["class"] == "cover") & hellos["who"].str.startswith(BROWSERS)]
    of_browsers = btls["ja4"].isin(set(browsers["ja4"]))
    alone = ssl["company_ja4"] > 0
    low, high = (browsers["bytes"].min(), browsers["bytes"].max()) if len(browsers) else (np.nan, np.nan)
    within = btls["bytes"].between(low, high)
    sizes = (
        f"{btls['bytes'].min()} to {btls['bytes'].max()} B against {low} to {high} B of the cover's browsers"
    )
    return {
        "ja4-shared": _part(of_browsers, "flows send a JA4 that a browser in the cover sends"),
        "ja4-ssl-alone": _part(alone, "flows send a JA4 that some cover sends"),
        "hello-size": _part(within, f"hellos within the range: {sizes}"),
    }


def _part(hits: pd.Series[bool], what: str) -> tuple[float, int, str]:
    count, n = int(hits.sum()), len(hits)
    return (count / n if n else float("nan")), n, f"{count} of {n} {what}"


def _rules(judged: pd.DataFrame, material: Material) -> pd.DataFrame:
    """How often each rule of tls_fingerprint had something to say, by transport."""
    truth = material.flows[["truth_class", "truth_transport", "truth_shape"]]
    parts = judged.join(truth, on="row").assign(rule=judged["why"].str.split("; ").str[1:]).explode("rule")
    parts = parts.dropna(subset="rule")
    rule = parts["rule"].str.split(" ").str[0]
    keys = ["truth_class", "truth_transport", "truth_shape", "rule"]
    counts = parts.assign(rule=rule).groupby(keys, sort=True).size().reset_index(name="flows")
    return counts.rename(columns=lambda name: name.removeprefix("truth_"))


def _stacks(hellos: pd.DataFrame) -> pd.DataFrame:
    """Every JA4 of the corpus: who sends it, how often, and which stack of the detector's table it is."""
    rows = [
        {"ja4": ja4, "flows": len(group), "sent_by": ", ".join(sorted(set(group["who"] + " " + group["shape"]))),
         "stack": stacks().find(str(ja4), "").name}
        for ja4, group in hellos.groupby("ja4", sort=True)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["ja4", "flows", "sent_by", "stack"])


def _summary(table: pd.DataFrame) -> pd.DataFrame:
    who = (
        (table["transport"] + " " + table["shape"]).str.strip().where(table["class"] == "bittorrent", "cover")
    )
    sizes = [f"{low} to {high}" for low, high in zip(table["bytes_min"], table["bytes_max"], strict=True)]
    return pd.DataFrame(
        {
            "traffic": who + ": " + table["who"],
            "n": table["n"],
            "JA4s": table["distinct_ja4"],
            "NPFs": table["distinct_npf"],
            "JA4 shared": table["shared_ja4"].map("{:.0%}".format),
            "without SNI, ALPN": table["shared_ja4_bc"].map("{:.0%}".format),
            "cover kinds": table["cover_kinds_ja4"],
            "hello bytes": sizes,
            "SNI": table["sni"].map("{:.0%}".format),
            "ALPN": table["alpn"].map("{:.0%}".format),
            "flagged": table["flagged"],
        }
    )


def _paragraph(table: pd.DataFrame, rated: pd.DataFrame, values: Measured) -> str:
    btls = table[table["transport"].str.startswith("btls_")]
    kinds = int(btls["cover_kinds_ja4"].max()) if len(btls) else 0
    named = float((btls["shared_ja4_bc"] * btls["n"]).sum() / btls["n"].sum()) if len(btls) else 0.0
    return (
        f"Of btls {values['ja4-shared'][2]}; the largest anonymity set of one of its JA4s is {kinds} cover kinds. "
        f"Without JA4's first part, which tells that there is no server name, {named:.0%} have company. "
        f"Of libtorrent's SSL torrents {values['ja4-ssl-alone'][2]}. Of btls's hellos, {values['hello-size'][2]}. "
        f"The rules act on {wording.rate(rated, transport='btls_basic', shape='rechunk')} btls flows, "
        f"{wording.rate(rated, transport='ssl_torrent')} of SSL torrents and "
        f"{wording.rate(rated, transport='cover')} cover flows."
    )


def _figure(hellos: pd.DataFrame) -> Figure:
    groups = [(key, group) for key, group in hellos.groupby(GROUP, sort=True)]
    canvas = Figure(figsize=(10, 2 + 0.27 * len(groups)), layout="constrained")
    left, right = canvas.subplots(1, 2, sharey=True, width_ratios=[1, 2])
    for y, (_, group) in enumerate(groups):
        left.barh(y, float((group["company_ja4_bc"] > 0).mean()), color="#BBD7EA")
        left.barh(y, float((group["company_ja4"] > 0).mean()), height=0.4, color="#0072B2")
        spread = y + np.linspace(-0.25, 0.25, len(group))
        for acted, colour, mark in ((False, "#0072B2", "o"), (True, "#D55E00", "x")):
            part = (group["acted"] == acted).to_numpy()
            right.scatter(group["bytes"][part], spread[part], s=9, c=colour, marker=mark, linewidths=0.8)
    left.set_yticks(range(len(groups)), [_label(key, len(group)) for key, group in groups], fontsize=8)
    left.set(xlim=(0, 1), xlabel="share with company (JA4)")
    left.invert_yaxis()
    right.set(xlabel="ClientHello in bytes")
    right.grid(axis="x", color="0.9")
    figure.caption(canvas, CAPTION)
    return canvas


def _label(key: tuple[Any, ...], n: int) -> str:
    capture, class_, transport, shape, who = key
    suffix = " [packetised]" if capture == "packetised" else ""
    name = f"cover: {who}" if class_ == "cover" else f"{transport} {shape}".strip() + f": {who}"
    return f"{name} (n={n}){suffix}"
