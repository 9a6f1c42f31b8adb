"""E4: filters that judge a flow by its first packet: the Great Firewall's rule in four readings, and entropy."""

from __future__ import annotations

import numpy as np
import pandas as pd

from btresearch.detect.fet import PROFILES, RESIDUAL_S, SAMPLED, exemptions, fet
from btresearch.evidence import figure, protocol, wording
from btresearch.evidence.evidence import Evidence
from btresearch.evidence.intervals import clopper_pearson
from btresearch.evidence.material import Material
from btresearch.evidence.matrix import matrix, merged, tally

TITLE = "first-packet filters: four readings of the Great Firewall's rule, its sampler and its memory, and entropy"
SAMPLER_SEED = 2023
HANDSHAKES = 100_000
BATCH = 10_000
KEY_BYTES, MOST_PADDING_BYTES = 96, 512  # MSE/PE: 768-bit public key, PadA and PadB
PUBLISHED = {"paper": "99.72 % +- 0.1"}
CAPTION = (
    "Share of flows in % that each filter would act on. °: it names nothing, it blocks what looks like noise. –: the "
    "rule applies to no flow of the row. fet: the paper's reading; sampled: looks at 26.3 % of connections; residual: "
    "and blocks the triple of a hit for 180 s; fet_any: any reading."
)
LIMITS = (
    "The rule alone: the deployed system also looks only at some ranges of addresses, and btls is exempt for its first "
    "three bytes, which a filter could stop trusting. The residual block counts flows between this lab's few "
    "addresses, closely in time. The significance level of the entropy test (5 %) is ours."
)


def evidence(material: Material, *, handshakes: int = HANDSHAKES) -> Evidence:
    """Profiles, sampler, residual blocking and entropy over every transport, and the known answer."""
    variants = [
        *(fet(name) for name in PROFILES if name != "paper"),
        fet(sampled=SAMPLED, seed=SAMPLER_SEED),
        fet(sampled=SAMPLED, residual_s=RESIDUAL_S, seed=SAMPLER_SEED),
    ]
    judged = pd.concat([material.of(["fet", "entropy"]), material.ask(variants)], ignore_index=True)
    judged = pd.concat([judged, _any(judged)], ignore_index=True)
    counted = tally(material.corpus, judged)
    table = matrix(merged(counted), seed=material.seed)
    known = known_answers(handshakes, seed=material.seed)
    first = known.iloc[0]
    said = f"{first['flagged']} of {first['n']} generated first messages ({first['rate']:.3%}); published 99.72 %"
    rates, texts, border = figure.grid(table, list(dict.fromkeys(judged["detector"])))
    return Evidence(
        "E4",
        TITLE,
        table,
        material.check("E4", counted, {"fet-known-answer": (float(first["rate"]), int(first["n"]), said)}),
        material.corpus.inputs,
        material.versions,
        material.seed,
        material.notes,
        paragraph=_paragraph(table, known),
        limits=LIMITS,
        summary=wording.by_detector(table),
        tables={
            "Known answers on generated MSE/PE first messages": known,
            "Exemptions by profile": _exempted(judged, material),
            **protocol.tables(material.evaluation, ("fet", "entropy")),
        },
        canvas=figure.heat(rates, texts, caption_text=CAPTION, border=border),
    )


def known_answers(handshakes: int, *, seed: int) -> pd.DataFrame:
    """What each profile says to uniformly random first messages of 96 bytes and 0 to 512 of padding."""
    flagged = dict.fromkeys(PROFILES, 0)
    random = np.random.default_rng(seed)
    for start in range(0, handshakes, BATCH):
        payloads = _first_messages(random, min(BATCH, handshakes - start))
        for name, profile in PROFILES.items():
            flagged[name] += int((~exemptions(payloads, profile).any(axis=1)).sum())
    rows = []
    for name, hits in flagged.items():
        low, high = clopper_pearson(hits, handshakes)
        facts = {"n": handshakes, "flagged": hits, "rate": hits / handshakes, "low": low, "high": high}
        rows.append({"profile": name, **facts, "published": PUBLISHED.get(name, "")})
    return pd.DataFrame(rows)


def _first_messages(random: np.random.Generator, count: int) -> list[bytes]:
    sizes = KEY_BYTES + random.integers(0, MOST_PADDING_BYTES, count, endpoint=True)
    noise, ends = random.bytes(int(sizes.sum())), np.cumsum(sizes)
    return [noise[end - size : end] for end, size in zip(ends.tolist(), sizes.tolist(), strict=True)]


def _any(judged: pd.DataFrame) -> pd.DataFrame:
    """Flows that any reading of the rule flags, without sampling."""
    names = ["fet", *(fet(name).name for name in PROFILES if name != "paper")]
    readings = judged[judged["detector"].isin(names)]
    strongest = readings.assign(hit=readings["verdict"].map({"flagged": 2, "other": 1}).fillna(0))
    best = strongest.sort_values(["row", "hit"], kind="stable").groupby("row").tail(1)
    return best.assign(detector="fet_any", version="1", why=best["detector"] + ": " + best["why"]).drop(
        columns="hit"
    )


def _exempted(judged: pd.DataFrame, material: Material) -> pd.DataFrame:
    """Which exemption spared how many flows of each transport."""
    truth = material.flows[["truth_class", "truth_transport"]]
    spared = judged[judged["why"].str.startswith("exempt by")].join(truth, on="row")
    reason = spared["why"].str.extract(r"^exempt by (.*?)(?: \(|:|$)")[0]
    counts = spared.assign(exemption=reason).groupby(
        ["detector", "truth_class", "truth_transport", "exemption"], sort=True
    )
    return counts.size().reset_index(name="flows").rename(columns=lambda name: name.removeprefix("truth_"))


def _paragraph(table: pd.DataFrame, known: pd.DataFrame) -> str:
    def of(detector: str, transport: str, shape: str = "") -> str:
        return wording.rate(table, detector=detector, transport=transport, shape=shape)

    first = known.iloc[0]
    tries = int(np.ceil(np.log(0.05) / np.log(1 - SAMPLED)))
    return (
        f"The paper's reading flags {of('fet', 'mse_rc4')} MSE/PE flows with RC4, "
        f"{of('fet', 'btls_basic', 'rechunk')} btls flows and {of('fet', 'cover')} cover flows; of {first['n']} "
        f"generated first messages it flags {first['rate']:.2%} (published: 99.72 %). Any reading flags "
        f"{of('fet_any', 'btls_basic', 'rechunk')} btls flows and {of('fet_any', 'clear')} clear-text ones. Behind the "
        f"deployed sampler {of('fet_sampled', 'mse_rc4')} MSE/PE flows are hit; at 26.3 % a client that tries {tries} "
        f"times independently is hit with 95 % probability. The entropy test flags {of('entropy', 'mse_rc4')} MSE/PE "
        f"flows, {of('entropy', 'btls_basic', 'rechunk')} btls flows and {of('entropy', 'cover')} cover flows: "
        f"post-quantum key shares make a ClientHello look like noise to it, whoever sends it."
    )
