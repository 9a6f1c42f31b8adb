"""Each claim of E1..E6 on the small captures in git: its table, its paragraph, and what must come out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from btresearch.detect.binder import crack
from btresearch.evidence import Evidence, Material, e1, e2, e3, e4, e5, e6, files, gather
from btresearch.evidence.claims import load
from btresearch.evidence.straw_man import with_psk
from btresearch.flow import parse_client_hello

CAPTURES = Path(__file__).parent.parent.parent / "captures"
MAKERS = {"E1": e1, "E2": e2, "E3": e3, "E4": e4, "E5": e5, "E6": e6}
ASKED = [
    "entropy", "et_p2p", "fet", "infohash_scan", "ipp2p", "l7filter", "libprotoident", "peer_table", "proxy_sniff",
    "tls_fingerprint", "tstat_mse", "wireshark",
]  # fmt: skip
FEW = 2000


@pytest.fixture(scope="module")
def material() -> Material:
    return gather(CAPTURES, detectors=ASKED)


@pytest.fixture(scope="module")
def found(material: Material) -> dict[str, Evidence]:
    made = {name: maker.evidence(material) for name, maker in MAKERS.items() if name != "E4"}
    return made | {"E4": e4.evidence(material, handshakes=FEW)}


def rate(evidence: Evidence, detector: str, transport: str, shape: str = "") -> float:
    table = evidence.table
    rows = table[
        (table["detector"] == detector) & (table["transport"] == transport) & (table["shape"] == shape)
    ]
    assert len(rows) == 1
    return float(rows["rate"].iloc[0])


@pytest.mark.parametrize("claim", sorted(MAKERS))
def test_every_claim_is_whole(found: dict[str, Evidence], claim: str, tmp_path: Path) -> None:
    one = found[claim]
    assert one.claim == claim
    assert {f.id for f in one.findings} == {c.id for c in load(group=claim)}
    assert "nan" not in one.paragraph
    assert one.limits
    assert len(one.inputs) == 16
    assert {"n", "rate", "low", "high", "session_low", "session_high"} <= set(one.table.columns)
    assert (one.table["low"] <= one.table["rate"]).all()
    assert (one.table["rate"] <= one.table["high"]).all()
    saved = files.save(one, tmp_path)
    assert {p.suffix for p in tmp_path.iterdir()} == {".csv", ".parquet", ".json", ".png", ".svg"}
    assert len(pd.read_parquet(tmp_path / f"{claim}.parquet")) == len(one.table)
    assert f"(n={int(one.table['n'].iloc[0])})" in saved.figures["svg"].read_text()


def test_spid_knows_mse_and_btls_only_once_it_met_it(found: dict[str, Evidence]) -> None:
    assert rate(found["E2"], "spid_default_20_faithful", "mse_rc4") == 1.0
    assert rate(found["E2"], "spid_default_20_faithful", "btls_basic", "rechunk") == 0.0
    assert set(found["E2"].table["detector"]) == {v.name for v in e2.VARIANTS}


def test_a_smaller_set_of_meters_is_a_mean_over_a_part() -> None:
    columns = pd.MultiIndex.from_product([["bt_clear", "tls"], ["A", "B", "C"]], names=["class", "meter"])
    divergences = pd.DataFrame([[1.0, 2.0, 9.0, 4.0, 6.0, 0.0]], columns=columns)
    assert e2._mean(divergences, ["A", "B"]).to_numpy().tolist() == [[1.5, 5.0]]
    classes, bits = e2._nearest(e2._mean(divergences, ["A", "B", "C"]))
    assert (classes.tolist(), bits.round(3).tolist()) == (["tls"], [3.333])


def test_a_flow_without_a_session_is_infinitely_far() -> None:
    classes, bits = e2._nearest(pd.DataFrame({"tls": [np.nan, 0.5]}))
    assert bits.tolist() == [np.inf, 0.5]
    assert classes.tolist() == ["tls", "tls"]


def test_the_union_is_as_strong_as_its_strongest_member(found: dict[str, Evidence]) -> None:
    table = found["E3"].table
    for _, cells in table.groupby(["transport", "shape"]):
        alone = cells[cells["detector"].isin(e3.STAND_INS)]
        union = cells[cells["detector"] == "union"].iloc[0]
        assert union["flagged"] >= alone["flagged"].max()
        assert union["flagged"] <= alone["flagged"].sum()
    assert rate(found["E3"], "union", "mse_rc4") == 1.0
    assert rate(found["E3"], "union_signatures", "mse_rc4") == 0.0


def test_generated_first_messages_are_flagged_as_published() -> None:
    known = e4.known_answers(FEW, seed=1)
    assert known["n"].tolist() == [FEW] * 4
    assert known["rate"].between(0.99, 1.0).all()
    assert e4.known_answers(FEW, seed=1).equals(known)


def test_the_sampler_lets_most_pass_and_any_reading_is_at_least_the_papers(
    found: dict[str, Evidence],
) -> None:
    table = found["E4"].table.set_index(["detector", "transport", "shape"])["flagged"]
    mse = table.xs("mse_rc4", level="transport").droplevel("shape")
    assert mse["fet_sampled"] < mse["fet"] <= mse["fet_any"]
    assert mse["fet_sampled"] <= mse["fet_sampled_residual"]


def test_anonymity_sets_count_other_kinds_of_cover_only() -> None:
    hellos = pd.DataFrame(
        {
            "class": ["cover", "cover", "cover", "bittorrent", "bittorrent"],
            "who": ["chrome", "chrome", "bulk", "ours", "ours"],
            "ja4": ["a", "a", "a", "a", "b"],
        }
    )
    assert e5._company(hellos, "ja4").tolist() == [1, 1, 1, 2, 0]


def test_fingerprints_tell_ssl_torrents_from_the_cover(found: dict[str, Evidence]) -> None:
    table = found["E5"].table.set_index("transport")
    assert table.loc["ssl_torrent", "shared_ja4"] == 0.0
    assert table.loc["ssl_torrent", "rate"] == 1.0
    assert (table.loc["btls_basic", "sni"] == 0.0).all()


def test_the_infohash_shows_where_it_must_and_nowhere_else(found: dict[str, Evidence]) -> None:
    for detector in ("infohash_places", "infohash_known"):
        assert rate(found["E6"], detector, "clear") == 1.0
        assert rate(found["E6"], detector, "ssl_torrent") == 1.0
        assert rate(found["E6"], detector, "btls_basic", "rechunk") == 0.0
    random = found["E6"].table.query("detector == 'infohash_random'")
    assert random["flagged"].sum() == 0


def test_the_straw_man_breaks_and_the_proposal_does_not(found: dict[str, Evidence]) -> None:
    attacked = found["E6"].tables["The straw man: dictionary attack on a PSK binder"].set_index("what")
    assert attacked["n"].min() > 0
    assert attacked.loc["btls with a PSK (straw man)", "broken"] == attacked["n"].iloc[0]
    assert attacked.loc["btls as proposed", "broken"] == 0


def test_a_hello_with_a_psk_still_parses_and_names_only_its_own_key(material: Material) -> None:
    flows = material.flows
    hello = flows.loc[flows["truth_transport"] == "btls_basic", "client_hello"].iloc[0]
    infohash = bytes(range(20))
    made = with_psk(hello, infohash)
    before, after = parse_client_hello(hello), parse_client_hello(made)
    assert after.extensions[:-1] == before.extensions
    assert after.extensions[-1][0] == 41
    hit = crack(made, [bytes(20), infohash])
    assert hit is not None
    assert hit.infohash == infohash
    assert crack(made, [bytes(20)]) is None
