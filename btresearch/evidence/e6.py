"""E6: does the infohash show? Without a list, with a crawler's list, and in a straw man with a pre-shared key."""

from __future__ import annotations

import hashlib
import time

import numpy as np
import pandas as pd

from btresearch.detect.binder import crack
from btresearch.detect.infohash_scan import GAP, Forms, InfohashScan, matches
from btresearch.evidence import figure, protocol, wording
from btresearch.evidence.evidence import Evidence
from btresearch.evidence.intervals import clopper_pearson
from btresearch.evidence.material import Material
from btresearch.evidence.matrix import matrix, merged, tally
from btresearch.evidence.straw_man import with_psk

TITLE = "exposure of the infohash: to anybody, to a list, and by a pre-shared key"
DECOYS = 1000
MOST_STRAW_MEN = 48
CAPTION = (
    "Share of flows in % whose infohash is found: infohash_places: where protocols put it, without a list; "
    "infohash_known: a list of every torrent of the corpus, in every form; infohash_random: a list of random ones, as "
    "long (a control)."
)
LIMITS = (
    "Passive search: raw, hex, base32, percent-encoded and reversed, v2 infohashes whole and cut, in the server name, "
    "the first 16 KiB each way and later packets as far as the flow table keeps them. The list holds this corpus's "
    "torrents; a real crawler's has millions, which costs time and finds nothing else. An active attacker who "
    "speaks the protocol and tests a list is another question (E10). The straw man has no deployment; its hellos are "
    "btls's own with a PSK added."
)


def evidence(material: Material) -> Evidence:
    """Each way of searching over every transport, where it was found, and the binder attack."""
    known = frozenset(material.corpus.infohashes)
    judged = pd.concat(
        [
            material.ask([InfohashScan(name="infohash_places")]),
            _by_list(material.flows, known, "infohash_known"),
            _by_list(material.flows, _random(len(known), material.seed), "infohash_random"),
        ],
        ignore_index=True,
    )
    counted = tally(material.corpus, judged)
    table = matrix(merged(counted), seed=material.seed)
    attacked = straw_men(material)
    broken, n = int(attacked["broken"].iloc[0]), int(attacked["n"].iloc[0])
    said = f"{broken} of {n} hellos told their infohash to a list of {DECOYS + len(known)}"
    rates, texts, border = figure.grid(table, ["infohash_places", "infohash_known", "infohash_random"])
    return Evidence(
        "E6",
        TITLE,
        table,
        material.check("E6", counted, {"psk-straw-man": (broken / n if n else float("nan"), n, said)}),
        material.corpus.inputs,
        material.versions,
        material.seed,
        material.notes,
        paragraph=_paragraph(table, len(known), said),
        limits=LIMITS,
        summary=wording.by_detector(table),
        tables={
            "Where it was found": _places(judged, material),
            "The straw man: dictionary attack on a PSK binder": attacked,
            **protocol.tables(material.evaluation, ("infohash_scan",)),
        },
        canvas=figure.heat(rates, texts, caption_text=CAPTION, border=border),
    )


def _by_list(flows: pd.DataFrame, infohashes: frozenset[bytes], name: str) -> pd.DataFrame:
    """What the list alone finds, as a verdict table; the scan stops at a place that needs no list."""
    forms = [Forms.of(infohash) for infohash in sorted(infohashes)]
    columns = ("sni", "stream_head_c2s", "stream_head_s2c", "pkt_payload", "client_hello")
    found = [
        next(matches(forms, (sni.encode(), c2s, s2c, GAP.join(packets)), hello), "")
        for sni, c2s, s2c, packets, hello in zip(*(flows[column] for column in columns), strict=True)
    ]
    verdict = ["bittorrent" if why else "other" for why in found]
    facts = {
        "detector": name,
        "version": InfohashScan().version,
        "score": 0.0,
        "verdict": verdict,
        "why": found,
    }
    return pd.DataFrame({"row": flows.index, **facts})


def _random(count: int, seed: int) -> frozenset[bytes]:
    random = np.random.default_rng(seed)
    return frozenset(random.bytes(20) for _ in range(count))


def straw_men(material: Material) -> pd.DataFrame:
    """Hellos of btls with a PSK made from their infohash, attacked with the corpus's list hidden among decoys.

    Rows: the hellos with the PSK, and as a control the same hellos without one; `seconds_per_hello` is one core's.
    """
    flows = material.flows
    btls = flows[flows["truth_transport"].str.startswith("btls_") & (flows["client_hello"].map(len) > 0)]
    btls = btls.head(MOST_STRAW_MEN)
    guesses = sorted({*material.corpus.infohashes, *_random(DECOYS, material.seed)})
    made = [
        (hello, bytes.fromhex(torrent))
        for hello, torrent in zip(btls["client_hello"], btls["truth_torrent"], strict=True)
    ]
    with_key = [(with_psk(hello, infohash), infohash) for hello, infohash in made]
    rows = [
        _attack("btls with a PSK (straw man)", with_key, guesses),
        _attack("btls as proposed", made, guesses),
    ]
    return pd.DataFrame(rows)


def _attack(what: str, hellos: list[tuple[bytes, bytes]], guesses: list[bytes]) -> dict[str, object]:
    began_s = time.perf_counter()
    hits = [crack(hello, guesses) for hello, _ in hellos]
    took_s = time.perf_counter() - began_s
    broken = sum(
        hit is not None and hit.infohash == infohash for hit, (_, infohash) in zip(hits, hellos, strict=True)
    )
    low, high = clopper_pearson(broken, len(hellos))
    return {
        "what": what, "n": len(hellos), "broken": broken, "low": low, "high": high, "list": len(guesses),
        "list_sha256": hashlib.sha256(b"".join(guesses)).hexdigest()[:16],
        "seconds_per_hello": round(took_s / len(hellos), 3) if hellos else 0.0,
    }  # fmt: skip


def _places(judged: pd.DataFrame, material: Material) -> pd.DataFrame:
    """Place and form of every find, by transport."""
    truth = material.flows[["truth_class", "truth_transport", "truth_shape"]]
    found = judged[judged["verdict"] == "bittorrent"].join(truth, on="row")
    where = found["why"].str.replace(r"known infohash \w+\.\.\. ", "known infohash ", regex=True)
    where = where.str.replace(r" at byte \d+", "", regex=True)
    keys = ["detector", "truth_class", "truth_transport", "truth_shape", "where"]
    counts = found.assign(where=where).groupby(keys, sort=True).size().reset_index(name="flows")
    return counts.rename(columns=lambda name: name.removeprefix("truth_"))


def _paragraph(table: pd.DataFrame, listed: int, said: str) -> str:
    def of(detector: str, transport: str, shape: str = "") -> str:
        return wording.rate(table, detector=detector, transport=transport, shape=shape)

    return (
        f"Without a list the infohash shows in {of('infohash_places', 'clear')} clear-text flows and "
        f"{of('infohash_places', 'ssl_torrent')} flows of SSL torrents. A list of {listed} infohashes finds "
        f"{of('infohash_known', 'utp')} uTP flows in clear, {of('infohash_known', 'mse_plain')} MSE/PE flows whose "
        f"payload is clear, {of('infohash_known', 'mse_rc4')} with RC4, "
        f"{of('infohash_known', 'utp_mse')} of MSE/PE inside uTP, "
        f"{of('infohash_known', 'btls_basic', 'rechunk')} btls flows in the default shape, "
        f"{of('infohash_known', 'btls_basic', 'none')} without re-chunking, and "
        f"{of('infohash_known', 'cover')} cover flows. In the straw man {said}."
    )
