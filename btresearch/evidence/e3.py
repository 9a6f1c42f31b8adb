"""E3: what an entry-level gateway would see, by open engines that stand in for it, each alone and together."""

from __future__ import annotations

import pandas as pd

from btresearch.evidence import figure, protocol, wording
from btresearch.evidence.evidence import Evidence
from btresearch.evidence.material import Material
from btresearch.evidence.matrix import matrix, merged, tally

TITLE = "gateway stand-ins: named, suspected, or nothing to say"
SIGNATURES = ("et_p2p", "ipp2p", "l7filter", "libprotoident", "proxy_sniff", "tshark", "wireshark")
STAND_INS = ("ndpi", "ndpi_reader", *SIGNATURES, "peer_table", "tstat_mse")
UNIONS = {
    "union": STAND_INS,
    "union_signatures": (*SIGNATURES, "peer_table"),
    "union_without_tstat": tuple(name for name in STAND_INS if name != "tstat_mse"),
}
RANK = {"bittorrent": 3, "flagged": 2, "other": 1, "abstain": 0}
NDPI_WORDS = {"bittorrent": "named", "flagged": "risk", "other": "cannot say", "abstain": "not decoded"}
CAPTION = (
    "Share of flows in % that each stand-in would act on. °: suspicions only, BitTorrent is not named. –: the rule "
    "applies to no flow of the row. union: any of them; union_signatures: those that match bytes or learn peers."
)
LIMITS = (
    "No vendor's rules are public: an open engine that leaves a flow unnamed says nothing about a gateway. Only the "
    "ET rules are known to be part of one (UniFi's intrusion detection). nDPI gets one flow at a time, so its "
    "cache of endpoints can't help it; next to clear-text DHT, uTP or trackers it would name encrypted flows by their "
    "ends, as the peer table does. Sessions of this corpus have no such traffic beside them."
)


def evidence(material: Material) -> Evidence:
    """Each stand-in over every transport, their unions, and nDPI's three kinds of answer."""
    alone = material.of(STAND_INS)
    judged = pd.concat([alone, *(_union(alone, name) for name in UNIONS)], ignore_index=True)
    counted = tally(material.corpus, judged)
    table = matrix(merged(counted), seed=material.seed)
    present = [name for name in (*STAND_INS, *UNIONS) if name in set(table["detector"])]
    rates, texts, border = figure.grid(table, present)
    return Evidence(
        "E3",
        TITLE,
        table,
        material.check("E3", counted),
        material.corpus.inputs,
        material.versions,
        material.seed,
        material.notes,
        paragraph=_paragraph(table),
        limits=LIMITS,
        summary=wording.by_detector(table),
        tables={
            "nDPI's answers": _answers(material),
            **protocol.tables(material.evaluation, STAND_INS),
        },
        canvas=figure.heat(rates, texts, caption_text=CAPTION, border=border),
    )


def _union(alone: pd.DataFrame, name: str) -> pd.DataFrame:
    """The strongest answer of any member to each flow, with that member's reason."""
    members = alone[alone["detector"].isin(UNIONS[name])]
    strength = members["verdict"].map(RANK)
    best = (
        members.assign(strength=strength)
        .sort_values(["row", "strength"], kind="stable")
        .groupby("row")
        .tail(1)
    )
    why = best["detector"] + ": " + best["why"]
    return best.assign(detector=name, version="1", why=why).drop(columns="strength")


def _answers(material: Material) -> pd.DataFrame:
    """How often nDPI names BitTorrent, raises a risk, or cannot say, with its own words."""
    truth = material.flows[["truth_transport", "truth_shape", "truth_class"]]
    asked = material.of(["ndpi"]).join(truth, on="row")
    words = asked["why"].str.replace(r"^nDPI says ", "", regex=True).str.split(" by ").str[0]
    risks = asked["why"].str.split("; ", n=1).str[1].fillna("")
    told = asked.assign(answer=asked["verdict"].map(NDPI_WORDS), label=words, risks=risks)
    keys = ["truth_class", "truth_transport", "truth_shape", "answer", "label", "risks"]
    counts = told.groupby(keys, sort=True).size().reset_index(name="flows")
    return counts.rename(columns=lambda name: name.removeprefix("truth_"))


def _paragraph(table: pd.DataFrame) -> str:
    named = table.assign(flagged=table["named"])
    named = named.assign(rate=named["flagged"] / named["n"])

    def counts(detector: str, transport: str, shape: str = "") -> str:
        rows = named[
            (named["detector"] == detector) & (named["transport"] == transport) & (named["shape"] == shape)
        ]
        return (
            "; ".join(f"{int(r['flagged'])} of {int(r['n'])}" for _, r in rows.iterrows()) or wording.NO_CELL
        )

    suspicious = sorted(
        table[
            (table["transport"] == "btls_basic") & (table["flagged"] > 0) & table["detector"].isin(STAND_INS)
        ]["detector"].unique()
    )
    suspected = wording.rate(table, detector="union", transport="btls_basic", shape="rechunk")
    return (
        f"Together {len(STAND_INS)} stand-ins name {counts('union', 'clear')} clear-text flows, "
        f"{counts('union', 'mse_rc4')} MSE/PE flows with RC4 (without Tstat's rule "
        f"{counts('union_without_tstat', 'mse_rc4')}), {counts('union', 'utp_mse')} flows of MSE/PE inside uTP, "
        f"{counts('union', 'ssl_torrent')} of SSL torrents, {counts('union', 'btls_basic', 'rechunk')} of btls in its "
        f"default shape and {counts('union', 'cover')} cover flows. Suspicions without a name on btls are raised by: "
        f"{', '.join(suspicious) or 'none'} ({suspected} "
        f"in the default shape, and {wording.rate(table, detector='union', transport='cover')} cover flows)."
    )
